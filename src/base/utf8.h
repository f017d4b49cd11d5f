/* SPDX-License-Identifier: Apache-2.0 */
/* utf8 - is it text? Pure. */
#ifndef RST_BASE_UTF8_H
#define RST_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* UTF-8 (RFC 3629: shortest form, no surrogates) without control characters, U+0080..9F among
 * them. */
bool utf8_is_text(const char *p, size_t n);

#endif
