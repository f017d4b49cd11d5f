/* SPDX-License-Identifier: Apache-2.0 */
/* num - strict decimals: the whole string, no sign, no space, range checked. Pure. */
#ifndef RST_BASE_NUM_H
#define RST_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* n bytes at p as a number 0..max. "1x", "+1", "", "4294967297" over max: false. */
bool num_parse(const char *p, size_t n, uint64_t max, uint64_t *ret_value);

/* Decimal digits of v, no NUL; returns how many (1..20). */
size_t num_format(char buf[20], uint64_t v);

#endif
