// The list of instruction-set levels, plainest first: SC_KERNEL_LEVEL(name). The plain C of ref/ is compiled once
// for each (src/kernels/meson.build); hand-written kernels of a level replace entries of its table.
SC_KERNEL_LEVEL(base)
#if defined(__x86_64__)
SC_KERNEL_LEVEL(v3)
SC_KERNEL_LEVEL(v4)
#endif
