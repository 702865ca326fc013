"""fpin as a GitHub Action: inputs in, one command, outputs, a summary and a comment. `action.yml` runs it.

Stands above the command line and runs it as a user would, so whatever a command can do, a step can.
"""
