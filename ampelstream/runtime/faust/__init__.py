"""The production runtime: Faust agents, state in Faust tables on RocksDB, nothing lost."""

import os

# Faust's compiled stream loop acknowledges records behind the back of an overridden consumer; it is
# chosen when Faust is first imported, which is below this line.
os.environ["NO_CYTHON"] = "1"
