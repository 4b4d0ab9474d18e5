"""What makes faust-streaming 0.15.3 safe: it loses nothing, and takes records by whole batches.

This package knows nothing of what the records hold, and imports nothing of the rest of the project.
Each remedy names the file and line of Faust, or of aiokafka 0.14.0, that it stands against; paths
are inside those packages.

An application is made with `appsettings.safe_settings` and a `table.StateTable` for its state, if
it has any; its agents take their records with `batches.batches`, and produce with an
`outbox.Outbox`.
"""

import os

# Faust's compiled stream loop acknowledges records behind the back of an overridden consumer; it is
# chosen when Faust is first imported, which is below this line.
os.environ["NO_CYTHON"] = "1"
