"""What the fork server imports: everything that workers need, so that it is imported once for all of them.

It is only imported, not used: TensorFlow starts threads when it is first used, and a process with threads must not be
forked.
"""

from bench.machine import other_threads, silence_stderr
from bench.signals import end_with_parent

end_with_parent()  # Python's fork server would notice the death of its parent only after these imports

with silence_stderr():
    import distributed.nanny  # noqa: F401 - imported for the workers

    from bench.training import fit, predict  # noqa: F401 - imported for the workers
    from bench.training.own_tuner import trial  # noqa: F401 - imported for the workers

OTHER_THREADS = other_threads()  # of the process that is forked
