// What this machine can do: described at once, or measured.
#ifndef SOCLE_MACHINE_H
#define SOCLE_MACHINE_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The instruction-set levels of this build, from the plainest; NULL past the last.
typedef struct socle_cpu_level {
    const char *name, *description;
    bool supported; // by this CPU and operating system
} socle_cpu_level;
bool socle_cpu_level_at(size_t i, socle_cpu_level *out); // false past the last

uint32_t socle_processor_count(void); // that this process may use
uint64_t socle_memory_total(void);
uint64_t socle_memory_available(void);
uint64_t socle_memory_peak(void); // used by this process so far

// Measured limits; takes about two seconds and 1 GiB (less where less is available).
typedef struct socle_limits {
    double read_bytes_per_second; // reading memory
    double int8_macs_per_second;  // int8 products summed in int32, as this build's kernels are compiled
    double f32_macs_per_second;   // fused multiply-adds of binary32
} socle_limits;

socle_status socle_measure(uint32_t n_threads, const char *cpu, socle_limits *out, socle_error *err);

// The library's version, "0.1.0".
const char *socle_version(void);

#ifdef __cplusplus
}
#endif
#endif
