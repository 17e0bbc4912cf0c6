// How much memory this process may still take.
#ifndef SC_BASE_MEMORY_H
#define SC_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

// Bytes available without swapping: the least of what the system, the process's control group and its address-space
// limit leave. UINT64_MAX when nothing can be learned.
uint64_t sc_memory_available(void);
// Bytes of memory in the machine; 0 when unknown.
uint64_t sc_memory_total(void);
// The most memory this process has used so far, in bytes.
uint64_t sc_memory_peak(void);

// Zeroed memory aligned to 64 bytes, taken page by page when touched; NULL when refused.
void *sc_memory_take(size_t n_bytes);
// The same in large pages where the system has them, for memory that is all used.
void *sc_memory_take_huge(size_t n_bytes);
void sc_memory_release(void *memory, size_t n_bytes);

#endif
