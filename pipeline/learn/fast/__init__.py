"""What makes training quicker and changes nothing in its results but rounding.

Each file stands alone, and what it gains was measured; whoever deletes one deletes the one line that
calls it: ``device.Hardware.place`` (convolutions), ``device.tune`` (memory), ``stages.Stage`` (compiling).
"""
