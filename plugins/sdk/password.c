/* SPDX-License-Identifier: Apache-2.0 */
/* A stored hash is taken apart once, by a table of schemes; each scheme computes and compares.
 * Costs are read from the hash and checked before anything is computed, since a hostile table must
 * not burn hours. */
#include "password.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "password_crypt.h"
#include "password_digest.h"
#include "password_scheme.h"

static const struct pwd_scheme *const schemes[] = {
	&pwd_plain, &pwd_crypt, &pwd_argon2, &pwd_digest, &pwd_pbkdf2, &pwd_scram,
};

/* True if the comma list "A,B" holds this word. */
static bool
password_named(const char *list, const char *word, size_t n)
{
	while (*list) {
		size_t len = strcspn(list, ",");

		if (len == n && strncasecmp(list, word, n) == 0)
			return true;
		list += len + (list[len] == ',');
	}
	return false;
}

/* Takes "{NAME}rest" or a bare hash apart: one with a prefix of crypt or argon2; any other text is
 * refused as CRYPT. */
static const struct pwd_scheme *
scheme_of(struct pm_str stored, struct pwd_hash *h)
{
	const char *close =
		stored.n > 2 && stored.p[0] == '{' ? memchr(stored.p, '}', stored.n) : NULL;

	if (close) {
		snprintf(h->name, sizeof(h->name), "%.*s", (int)(close - stored.p - 1),
			 stored.p + 1);
		h->data = close + 1;
	} else {
		bool argon2 = stored.n > 7 && memcmp(stored.p, "$argon2", 7) == 0;

		snprintf(h->name, sizeof(h->name), argon2 ? "ARGON2" : "CRYPT");
		h->data = stored.p;
	}
	h->n = stored.n - (size_t)(h->data - stored.p);
	/* In {SSHA.HEX} and {SHA.B64} the suffix is the encoding of the digest. */
	char *dot = strrchr(h->name, '.');

	h->hex = dot && strcasecmp(dot, ".HEX") == 0;
	h->b64 = dot && (strcasecmp(dot, ".B64") == 0 || strcasecmp(dot, ".BASE64") == 0);
	if (h->hex || h->b64)
		*dot = '\0';
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (password_named(schemes[i]->names, h->name, strlen(h->name)))
			return schemes[i];
	return NULL;
}

static void
limits_fill(struct sdk_password_limits *l, const struct sdk_password_limits *from)
{
	if (from)
		*l = *from;
	else
		memset(l, 0, sizeof(*l));
	l->max_rounds = l->max_rounds ? l->max_rounds : 5000000;
	l->max_log_cost = l->max_log_cost ? l->max_log_cost : 16;
	l->max_memory_kib = l->max_memory_kib ? l->max_memory_kib : 1048576;
}

int32_t
sdk_password_check(struct pm_str stored, struct pm_str password,
		   const struct sdk_password_limits *limits, char *why)
{
	struct sdk_password_limits l;
	struct pwd_hash h = {.why = why};
	const struct pwd_scheme *scheme;
	int32_t rc;

	limits_fill(&l, limits);
	/* a NUL would end crypt's password early: "a\0b" must not be "a" */
	if (password.n == 0 || memchr(password.p, '\0', password.n) ||
	    password.n > PWD_PASSWORD_MAX)
		return PM_DENIED;
	if (stored.n == 0 || stored.p[0] == '!' || stored.p[0] == '*')
		return PM_DENIED; /* locked, as in shadow(5) */
	scheme = scheme_of(stored, &h);
	if (h.n > 0 && (h.data[0] == '!' || h.data[0] == '*') && scheme != &pwd_plain)
		return PM_DENIED;
	if (!scheme) {
		snprintf(why, PWD_WHY, "unknown password scheme {%.40s}", h.name);
		return PM_UNSUPPORTED;
	}
	if (h.n >= sizeof(h.text)) {
		snprintf(why, PWD_WHY, "the {%.40s} hash is longer than %zu bytes", h.name,
			 sizeof(h.text));
		return PM_CORRUPT;
	}
	memcpy(h.text, h.data, h.n);
	h.text[h.n] = '\0';
	rc = scheme->check(&h, password, &l);
	explicit_bzero(h.text, sizeof(h.text));
	return rc;
}

void
sdk_password_burn(struct pm_str like, struct pm_str password,
		  const struct sdk_password_limits *limits)
{
	/* a real hash of a text that nobody types; 5,000 rounds of sha512-crypt are usual */
	static const char usual[] = "{SHA512-CRYPT}$6$restante.restant$"
				    "NEu2nBvYpPzYVvQ0F5X2m5X3TjR9mI0cA5q7g5S8dTq6yqS4l7wS2m7yF0o1jN"
				    "3kM9pQ1rS5tU7vW9xY1zA3b/";
	char why[PWD_WHY];

	if (like.n == 0)
		like = (struct pm_str){usual, sizeof(usual) - 1};
	/* the answer is ignored: only the time counts */
	(void)sdk_password_check(like, password, limits, why);
}

int32_t
sdk_password_secret(const struct pm_call *call, struct pm_str stored, struct pm_secret *ret)
{
	struct pwd_hash h = {.why = (char[PWD_WHY]){0}};
	const struct pwd_scheme *scheme = scheme_of(stored, &h);

	if (scheme == &pwd_plain && (ret->kinds & PM_SECRET_PLAIN)) {
		char *copy = call->alloc(call, h.n + 1);

		if (!copy)
			return PM_NOMEM;
		memcpy(copy, h.data, h.n);
		ret->kinds = PM_SECRET_PLAIN;
		ret->plain = (struct pm_str){copy, h.n};
		return PM_OK;
	}
	if (scheme != &pwd_scram || h.n >= sizeof(h.text))
		return PM_UNSUPPORTED;
	memcpy(h.text, h.data, h.n);
	h.text[h.n] = '\0';
	return pwd_scram_secret(call, &h, ret);
}

int32_t
sdk_password_equal(const void *a, const void *b, size_t n)
{
	return pwd_same(a, b, n);
}
