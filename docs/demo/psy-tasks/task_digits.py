"""Which support vector machine reads handwritten digits best?

1797 images of digits, as scikit-learn ships them, in five folds: each assignment
learns from four of them and is tested on the fifth.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import SVC

from psyrun import Param

N_FOLDS = 5

pspace = (
    Param(C=[0.1, 1.0, 10.0, 100.0])
    * Param(gamma=np.logspace(-5, -2, 7))
    * Param(fold=range(N_FOLDS))
)
max_jobs = 20

images, digits = load_digits(return_X_y=True)
folds = list(
    StratifiedKFold(N_FOLDS, shuffle=True, random_state=1).split(images, digits)
)


def execute(C, gamma, fold):
    train, test = folds[fold]
    machine = SVC(C=C, gamma=gamma).fit(images[train], digits[train])
    return {
        "accuracy": machine.score(images[test], digits[test]),
        "n_support_vectors": int(machine.n_support_.sum()),
    }
