/* SPDX-License-Identifier: Apache-2.0 */
/* credtag - questions to an auth section as keyed digests (HMAC-SHA-256): what a credcache keeps
 * instead of them. Pure. */
#ifndef RST_ACCOUNT_CREDTAG_H
#define RST_ACCOUNT_CREDTAG_H

#include <stdbool.h>
#include <stdint.h>

#include <restante/module.h>

#define CREDTAG_BYTES 32

/* One question. An accepted pair is good from every address (an account that is bound to its
 * addresses says so with cache_s = 0); a refusal is the client's who got it. */
struct credtags {
	uint8_t name[CREDTAG_BYTES], pair[CREDTAG_BYTES], refused[CREDTAG_BYTES],
		unknown[CREDTAG_BYTES];
};

bool credtag_name(const uint8_t key[CREDTAG_BYTES], struct pm_str name, uint8_t ret[CREDTAG_BYTES]);
/* False: no plain question of one user for himself with a password, too long, or no memory. */
bool credtags_make(const uint8_t key[CREDTAG_BYTES], const struct pm_cred *cred,
		   struct credtags *ret);

#endif
