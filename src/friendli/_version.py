"""The one place that holds the version; asking the installed metadata for it costs 20 ms of import."""

VERSION = "1.0.0.dev0"
