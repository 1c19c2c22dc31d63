"""What the fork server imports: everything that workers need, so that it is imported once for all of them.

It must only be imported, not used: TensorFlow may start threads when it is first used, and a process that has threads
must not be forked.
"""

import distributed.nanny  # noqa: F401 - imported for the workers

from bench.machine import native_threads, silence_stderr

with silence_stderr():
    from bench.training import fit, predict  # noqa: F401 - imported for the workers

THREADS = native_threads()  # of the process that was forked
