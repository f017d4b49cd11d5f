/* SPDX-License-Identifier: Apache-2.0 */
#include "account/credtag.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/secret.h"

#define SECRET_MAX 4096 /* a longer one is asked for each time */

struct text {
	uint8_t bytes[SECRET_MAX + PM_NAME_MAX + 256];
	size_t n;
};

/* Each part with its length before it: no two questions look alike, wherever one is cut. */
static bool
text_add(struct text *t, struct pm_str s)
{
	uint32_t n = (uint32_t)s.n;

	if (s.n > sizeof(t->bytes) - sizeof(n) || t->n > sizeof(t->bytes) - sizeof(n) - s.n)
		return false;
	memcpy(t->bytes + t->n, &n, sizeof(n));
	if (s.n > 0)
		memcpy(t->bytes + t->n + sizeof(n), s.p, s.n);
	t->n += sizeof(n) + s.n;
	return true;
}

static bool
credtag_mac(const uint8_t key[CREDTAG_BYTES], const struct text *t, uint8_t ret[CREDTAG_BYTES])
{
	unsigned n = 0;

	return HMAC(EVP_sha256(), key, CREDTAG_BYTES, t->bytes, t->n, ret, &n) != NULL &&
	       n == CREDTAG_BYTES;
}

/* parts: ended by one without p. */
static bool
tag_of(const uint8_t key[CREDTAG_BYTES], uint32_t kind, const struct pm_str *parts,
       uint8_t ret[CREDTAG_BYTES])
{
	struct text t = {.n = sizeof(kind)};
	bool good = true;

	memcpy(t.bytes, &kind, sizeof(kind));
	for (; good && parts->p; parts++)
		good = text_add(&t, *parts);
	good = good && credtag_mac(key, &t, ret);
	secret_wipe(&t, sizeof(t));
	return good;
}

enum { TAG_NAME, TAG_PAIR, TAG_REFUSED, TAG_UNKNOWN, TAG_TLS = 16 };

bool
credtag_name(const uint8_t key[CREDTAG_BYTES], struct pm_str name, uint8_t ret[CREDTAG_BYTES])
{
	return tag_of(key, TAG_NAME, (struct pm_str[]){name, {NULL, 0}}, ret);
}

bool
credtags_make(const uint8_t key[CREDTAG_BYTES], const struct pm_cred *cred, struct credtags *ret)
{
	uint32_t tls = cred->flags & PM_CREDF_TLS ? TAG_TLS : 0;
	struct pm_str peer = cred->peer.p ? cred->peer : (struct pm_str){"", 0};

	/* on behalf of another: two accounts are in that answer, and either may change */
	if (cred->kind != PM_CRED_PASSWORD || cred->authzid.n > 0 || cred->secret.n == 0 ||
	    !cred->service.p)
		return false;
	return credtag_name(key, cred->authcid, ret->name) &&
	       tag_of(key, TAG_PAIR | tls,
		      (struct pm_str[]){cred->authcid, cred->service, cred->secret, {NULL, 0}},
		      ret->pair) &&
	       tag_of(key, TAG_REFUSED | tls,
		      (struct pm_str[]){
			      cred->authcid, cred->service, peer, cred->secret, {NULL, 0}},
		      ret->refused) &&
	       tag_of(key, TAG_UNKNOWN | tls,
		      (struct pm_str[]){cred->authcid, cred->service, peer, {NULL, 0}},
		      ret->unknown);
}
