"""The command line: arguments, inputs, outputs, streams, and a file for each command."""
