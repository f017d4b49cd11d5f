/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stored hash and a password, a line each: whatever they hold, the answer is one the contract
 * allows, comes soon, and never accepts an empty password. The limits on costs are lower than
 * those for a real table.
 */
#include <stdbool.h>

#include "fuzz.h"
#include "sdk/password.h"

#define WHY 128
#define ALLOCS_MAX 8

static struct {
	void *p[ALLOCS_MAX];
	size_t n;
} pool;

static void *
take(const struct pm_call *call, size_t n)
{
	(void)call;
	MUST(pool.n < ALLOCS_MAX);
	return pool.p[pool.n++] = fuzz_alloc(n);
}

static int32_t
check(struct pm_str stored, struct pm_str password)
{
	static const struct sdk_password_limits low = {
		.max_rounds = 2000, .max_log_cost = 4, .max_memory_kib = 256, .allow_plain = 1};
	char *s = fuzz_copy(stored.p, stored.n), *p = fuzz_copy(password.p, password.n),
	     *why = fuzz_alloc(WHY);
	int32_t rc;

	memset(why, 0, WHY);
	rc = sdk_password_check((struct pm_str){s, stored.n}, (struct pm_str){p, password.n}, &low,
				why);
	MUST(memchr(why, '\0', WHY));
	MUST((why[0] == '\0') == (rc == PM_OK || rc == PM_DENIED));
	free(s);
	free(p);
	free(why);
	return rc;
}

/* A verifier that is handed out is complete. */
static void
check_secret(struct pm_str stored, uint32_t kind)
{
	struct pm_call call = {.size = sizeof(call), .alloc = take};
	struct pm_secret secret = {.size = sizeof(secret), .kinds = kind};
	char *s = fuzz_copy(stored.p, stored.n);
	int32_t rc = sdk_password_secret(&call, (struct pm_str){s, stored.n}, &secret);

	MUST(rc == PM_OK || rc == PM_UNSUPPORTED || rc == PM_CORRUPT);
	if (rc == PM_OK && kind != PM_SECRET_PLAIN) {
		MUST(secret.kinds == kind && secret.iter > 0);
		MUST(secret.stored_key.n == (kind == PM_SECRET_SCRAM_SHA1 ? 20 : 32));
		MUST(secret.server_key.n == secret.stored_key.n);
	} else if (rc == PM_OK) {
		MUST(secret.plain.n <= stored.n);
	}
	free(s);
	while (pool.n > 0)
		free(pool.p[--pool.n]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *p = (const char *)data, *lf = n > 0 ? memchr(p, '\n', n) : NULL;
	struct pm_str stored = {p, lf ? (size_t)(lf - p) : n};
	struct pm_str password = {lf ? lf + 1 : p, lf ? n - stored.n - 1 : 0};
	int32_t rc;

	rc = check(stored, password);
	MUST(rc == PM_OK || rc == PM_DENIED || rc == PM_UNSUPPORTED || rc == PM_CORRUPT);
	MUST(rc != PM_OK || (password.n > 0 && !memchr(password.p, '\0', password.n)));
	MUST(check(stored, (struct pm_str){p, 0}) == PM_DENIED);
	check_secret(stored, PM_SECRET_PLAIN);
	check_secret(stored, PM_SECRET_SCRAM_SHA1);
	check_secret(stored, PM_SECRET_SCRAM_SHA256);
	return 0;
}
