"""The report of a deployment: data (`model`), report.json, report.html, and a notebook's cell."""
