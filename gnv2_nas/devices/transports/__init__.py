"""How a device is reached: this machine, ssh or adb, behind one protocol."""
