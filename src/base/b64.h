/* SPDX-License-Identifier: Apache-2.0 */
/* b64 - base64 of RFC 4648 section 4, strict: padding required, no white space. Pure. */
#ifndef RST_BASE_B64_H
#define RST_BASE_B64_H

#include <stdbool.h>
#include <stddef.h>

/* Octets that n encoded characters hold at most. */
#define B64_DECODED_MAX(n) ((n) / 4 * 3)
/* Characters that n octets need, without NUL. */
#define B64_ENCODED(n) (((n) + 2) / 3 * 4)

bool b64_decode(const char *p, size_t n, unsigned char *ret_out, size_t cap, size_t *ret_n);
size_t b64_encode(const void *p, size_t n, char *ret_out);

#endif
