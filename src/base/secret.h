/* SPDX-License-Identifier: Apache-2.0 */
/* secret - wiping secrets, random numbers, keyed hashes. */
#ifndef RST_BASE_SECRET_H
#define RST_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Overwrites n bytes; the compiler may not leave it out. p may be NULL when n is 0. */
void secret_wipe(void *p, size_t n);

/* n random bytes from the kernel; never fails once the process runs. */
void secret_random(void *p, size_t n);

/* Keyed hash (SipHash-2-4, key drawn once per process) for tables whose keys strangers choose. */
uint64_t secret_hash(const void *p, size_t n);

#endif
