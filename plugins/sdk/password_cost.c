/* SPDX-License-Identifier: Apache-2.0 */
/* The costs of a crypt(3) hash, read before anything is computed. They are in the hash itself, and
 * whoever can write the table, or a hosting customer his own row, could ask for hours and
 * gigabytes. Encodings: crypt(5). */
#include "password_cost.h"

#include <stdio.h>
#include <string.h>

#define WORK_FACTOR 8u /* passes over the most memory that is allowed */

/* The alphabet of crypt's base 64, in its order. */
static bool
password_cost_digit(char c, uint32_t *ret)
{
	static const char digits[] =
		"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const char *at = c ? strchr(digits, c) : NULL;

	*ret = at ? (uint32_t)(at - digits) : 0;
	return at != NULL;
}

/* Reads n digits, the lowest six bits first: r and p of scrypt, the count of BSDi DES. */
static bool
password_cost_fixed(const char *p, size_t n, uint32_t *ret)
{
	uint32_t v;

	*ret = 0;
	for (size_t i = 0; i < n; i++) {
		if (!password_cost_digit(p[i], &v))
			return false;
		*ret |= v << (6 * i);
	}
	return true;
}

/* Reads a number of yescrypt, which takes one to six digits; the first one tells how many, and zero
 * stands for `least`. */
static bool
password_cost_varying(const char **p, uint32_t least, uint32_t *ret)
{
	uint32_t start = 0, end = 47, more = 0, v;

	if (!password_cost_digit(**p, &v))
		return false;
	(*p)++;
	*ret = least;
	for (; v > end && more < 5; more++) {
		*ret += (end + 1 - start) << (6 * more);
		start = end + 1;
		end = start + (62 - end) / 2;
	}
	*ret += (v - start) << (6 * more);
	while (more-- > 0) {
		if (!password_cost_digit(**p, &v))
			return false;
		(*p)++;
		*ret += v << (6 * more);
	}
	return true;
}

/* N, r, p and t of scrypt and yescrypt: 128 * N * r bytes of memory, passed over about p * (t + 1)
 * times. */
struct memory_hard {
	uint32_t log_n, r, p, t;
};

static bool
read_scrypt(const char *param, struct memory_hard *ret)
{
	*ret = (struct memory_hard){0};
	return password_cost_digit(param[0], &ret->log_n) &&
	       password_cost_fixed(param + 1, 5, &ret->r) &&
	       password_cost_fixed(param + 6, 5, &ret->p);
}

static bool
read_yescrypt(const char *param, struct memory_hard *ret)
{
	uint32_t flavor, have = 0;

	*ret = (struct memory_hard){.p = 1};
	if (!password_cost_varying(&param, 0, &flavor) ||
	    !password_cost_varying(&param, 1, &ret->log_n) ||
	    !password_cost_varying(&param, 1, &ret->r))
		return false;
	if (*param != '$' && !password_cost_varying(&param, 1, &have))
		return false;
	if ((have & 1 && !password_cost_varying(&param, 2, &ret->p)) ||
	    (have & 2 && !password_cost_varying(&param, 1, &ret->t)))
		return false;
	return (have & ~3u) == 0; /* hash upgrades and ROMs are not used for passwords */
}

static bool
memory_hard_ok(struct pwd_hash *h, const struct memory_hard *m, const struct sdk_password_limits *l)
{
	uint64_t kib, most = (uint64_t)l->max_memory_kib * WORK_FACTOR;

	if (m->log_n > l->max_log_cost || m->log_n >= 32) {
		snprintf(h->why, PWD_WHY, "{%s}: a cost above %u", h->name, l->max_log_cost);
		return false;
	}
	kib = ((uint64_t)m->r << m->log_n) / 8; /* r has 30 bits at most: it fits */
	if (kib > l->max_memory_kib || m->p > most || m->t > most || kib * m->p > most ||
	    kib * m->p * (m->t + 1u) > most) {
		snprintf(h->why, PWD_WHY,
			 "{%s}: it needs more than %u KiB, or too many passes over them", h->name,
			 l->max_memory_kib);
		return false;
	}
	return true;
}

static bool
rounds_ok(struct pwd_hash *h, const char *number, const struct sdk_password_limits *l)
{
	uint32_t v;

	if (pwd_number(number, strcspn(number, "$"), &v) && v <= l->max_rounds)
		return true;
	snprintf(h->why, PWD_WHY, "{%s}: more than %u rounds", h->name, l->max_rounds);
	return false;
}

static bool
password_cost_begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

bool
pwd_cost_ok(struct pwd_hash *h, const struct sdk_password_limits *l)
{
	const char *t = h->text, *rounds = strstr(t, "$rounds=");
	struct memory_hard m;
	uint32_t v;

	if (password_cost_begins(t, "$y$") || password_cost_begins(t, "$gy$") ||
	    password_cost_begins(t, "$7$")) {
		if (t[1] == '7' ? read_scrypt(t + 3, &m)
				: read_yescrypt(strchr(t + 1, '$') + 1, &m))
			return memory_hard_ok(h, &m, l);
		(void)pwd_corrupt(h, "its parameters are none crypt(3) makes");
		return false;
	}
	if (password_cost_begins(t, "$2") && strlen(t) > 6 &&
	    (!pwd_number(t + 4, 2, &v) || v > l->max_log_cost)) {
		snprintf(h->why, PWD_WHY, "{%s}: a cost above %u", h->name, l->max_log_cost);
		return false;
	}
	if (t[0] == '_' && (!password_cost_fixed(t + 1, 4, &v) || v > l->max_rounds)) {
		snprintf(h->why, PWD_WHY, "{%s}: more than %u rounds", h->name, l->max_rounds);
		return false;
	}
	if (password_cost_begins(t, "$sha1$"))
		return rounds_ok(h, t + 6, l);
	if (password_cost_begins(t, "$md5,rounds="))
		return rounds_ok(h, t + 12, l);
	return !rounds || rounds_ok(h, rounds + 8, l);
}
