"""Jobs in a queue: what was submitted, what became of it, and what is next.

`script` is what runs on the machines of the queue, `ledger` the record of all
submissions, `driver` what brings jobs through the queue. How a queue is spoken
to is the business of `psyrun.scheduler`.
"""
