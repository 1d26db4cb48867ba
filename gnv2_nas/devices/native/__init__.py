"""The native runner: ncnn in one program, for devices without Python; its source and its build."""
