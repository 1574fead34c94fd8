"""Classes that other packages add through entry points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from psyrun.errors import PsyrunError, one_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")

_REPAIR = "repair or uninstall the package"


def missing_methods(kind: type[Any]) -> str:
    """Return the names of the abstract methods that a class lacks; often empty."""
    return ", ".join(sorted(getattr(kind, "__abstractmethods__", ())))


@dataclass(frozen=True)
class Plugins(Generic[T]):
    """The classes of one kind, by name.

    Attributes
    ----------
    group : str
        Group of the entry points; the name of each is that of its class.
    kind : str
        What messages call such a class.
    base : type
        Their base class.
    base_path : str
        Where users import that from.
    error : type of PsyrunError
        What is raised.
    built_in : mapping of str to str
        psyrun's own, as ``'module:Class'``: known without installed metadata, as
        when psyrun runs from its source folder.
    """

    group: str
    kind: str
    base: type[T]
    base_path: str
    error: type[PsyrunError]
    built_in: Mapping[str, str]

    def names(self) -> list[str]:
        """Return the names of all classes that are installed, sorted."""
        return sorted({entry.name for entry in self._entries()})

    def load(self, name: str) -> type[T]:
        """Return the class of a name that is among `names`."""
        return self._loaded(self._entry_of(name))

    def make(self, name: str) -> T:
        """Return an instance of the class of a name, made without arguments."""
        entry = self._entry_of(name)
        try:
            return self._loaded(entry)()
        except PsyrunError:
            raise
        except Exception as error:
            raise self._not_loaded(self._where(entry), error, _REPAIR) from error

    def _loaded(self, entry: EntryPoint) -> type[T]:
        return self._class(entry, self._where(entry), _REPAIR)

    def _entry_of(self, name: str) -> EntryPoint:
        # One value can be listed twice: by us and by our installed metadata.
        found = {e.value: e for e in self._entries() if e.name == name}
        if len(found) > 1:
            claims = (f"{e.value!r} of {_package(e)}" for e in found.values())
            raise self.error(
                f"several plug-ins of the group {self.group!r} claim the name "
                f"{name!r}: {' and '.join(claims)}; uninstall all but one of them."
            )
        (entry,) = found.values()
        return entry

    def has_path(self, path: str) -> bool:
        """Whether a class, as ``'module:Class'``, is installed under some name."""
        return any(entry.value == path for entry in self._entries())

    def load_path(self, module: str, attribute: str) -> type[T]:
        """Return a class by where it is, whether it is an installed plug-in or not."""
        entry = self._entry("", f"{module}:{attribute}")
        where = f"{self.kind} {f'{module}.{attribute}'!r}"
        return self._class(entry, where, "correct its name, or the module")

    def _class(self, entry: EntryPoint, where: str, advice: str) -> type[T]:
        try:
            found: Any = entry.load()
        except Exception as error:
            raise self._not_loaded(where, error, advice) from error
        if not (isinstance(found, type) and issubclass(found, self.base)):
            raise self.error(
                f"{where} is not a {self.kind}; it must be a subclass of "
                f"{self.base_path}. To fix it, {advice}."
            )
        if missing := missing_methods(found):
            raise self.error(f"{where} lacks {missing}; {advice}.")
        return found

    def _where(self, entry: EntryPoint) -> str:
        plug_in = f"plug-in '{entry.name} = {entry.value}' of {_package(entry)}"
        return f"{plug_in} in the group {self.group!r}"

    def _not_loaded(self, where: str, error: Exception, advice: str) -> PsyrunError:
        return self.error(f"{where} cannot be loaded ({one_line(error)}); {advice}.")

    def _entries(self) -> list[EntryPoint]:
        from importlib.metadata import entry_points

        built_in = [self._entry(name, value) for name, value in self.built_in.items()]
        return [*built_in, *entry_points(group=self.group)]

    def _entry(self, name: str, value: str) -> EntryPoint:
        from importlib.metadata import EntryPoint

        return EntryPoint(name, value, self.group)


def _package(entry: EntryPoint) -> str:
    distribution = entry.dist
    return f"the package {distribution.name!r}" if distribution else "psyrun"
