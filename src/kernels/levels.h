// The list of instruction-set levels, plainest first; the last one that a machine supports is chosen. To add one: a
// folder with cpu.h, lanes.h and dot.h, a line here and one in src/meson.build.
SC_KERNEL_LEVEL(base)
#if defined(__x86_64__)
SC_KERNEL_LEVEL(avx2)
SC_KERNEL_LEVEL(avxvnni)
SC_KERNEL_LEVEL(avx512)
SC_KERNEL_LEVEL(avx512vnni)
#elif defined(__aarch64__)
SC_KERNEL_LEVEL(neon)
SC_KERNEL_LEVEL(dotprod)
SC_KERNEL_LEVEL(i8mm)
#endif
