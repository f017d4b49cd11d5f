/* SPDX-License-Identifier: Apache-2.0 */
/* conf - reading what a module is handed: options, texts, maps of a commit, the time that is left.
 * Pure. */
#ifndef SDK_CONF_H
#define SDK_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

/* A string literal or char array as pm_str. */
#define SDK_STR(lit) \
	{ \
		(lit), sizeof(lit) - 1 \
	}

struct pm_str sdk_str(const char *s); /* NULL: empty */
bool sdk_str_is(struct pm_str a, const char *s);
char *sdk_strdup(struct pm_str a); /* malloc'd, NUL-terminated; NULL: no memory */
/* A copy in call->alloc memory, with a NUL after it; p = NULL: no memory. */
struct pm_str sdk_call_dup(const struct pm_call *call, const char *p, size_t n);

/* One line of a descriptor's table of options, in the order of struct pm_option; all texts are
 * literals. */
#define SDK_OPT(key, type, flags, unit, dflt, doc) \
	{ \
		sizeof(struct pm_option), (type), (flags), 0, SDK_STR(key), SDK_STR(unit), \
			SDK_STR(dflt), SDK_STR(doc) \
	}

/* The i-th value of a key (i > 0 for lists), or NULL. */
const struct pm_value *sdk_opt(const struct pm_open *open, const char *key, uint32_t i);
struct pm_str sdk_opt_str(const struct pm_open *open, const char *key);
int64_t sdk_opt_num(const struct pm_open *open, const char *key, int64_t dflt);

/* Bit i of a map of pm_commit; a map that is NULL has none. */
bool sdk_bit(const uint8_t *map, uint64_t i);

/* Milliseconds left until the call's deadline, >= 0. */
int64_t sdk_left_ms(const struct pm_host *host, const struct pm_call *call);

#endif
