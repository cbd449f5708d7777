#ifndef BENCH_PROC_CPU_H
#define BENCH_PROC_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* User and system time in microseconds that the processes `roots` and all their descendants have
 * used since they started, descendants that ended and were waited for included: two readings
 * differ by what was used between them. False where a root is not running or memory ran out. */
bool proc_cpu_us(const pid_t *roots, size_t count, uint64_t *us);

#endif
