"""The engine: one skorch net that trains every network."""
