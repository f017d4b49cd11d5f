/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_parse: however a connection is cut, there is one verdict, at one place, and the fields of
 * the header are sane. */
#include "net/proxy.h"
#include "fuzz.h"

#include <netinet/in.h>

/* The bytes end where the input does, so that a sanitizer sees the first one read too far. */
static enum proxy_result
parse(const uint8_t *data, size_t n, struct proxy_header *h)
{
	const char *why = NULL;
	void *p = fuzz_copy(data, n);
	enum proxy_result r = proxy_parse(p, n, h, &why);

	MUST(r != PROXY_BAD || (why && *why));
	free(p);
	return r;
}

static void
check_done(const struct proxy_header *h, size_t n)
{
	MUST(h->n > 0 && h->n <= n && h->n <= PROXY_MAX);
	MUST(memchr(h->authority, '\0', sizeof(h->authority)) != NULL);
	MUST(h->local || h->from.ss_family == AF_INET || h->from.ss_family == AF_INET6);
	MUST(h->local || h->from.ss_family == h->to.ss_family);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct proxy_header h, again;
	enum proxy_result r;
	size_t decided;

	if (n > 2 * PROXY_MAX)
		return 0;
	r = parse(data, n, &h);
	if (r == PROXY_DONE)
		check_done(&h, n);
	/* after the deciding octet nothing matters, and before it nothing is decided */
	for (decided = 0; decided < n && parse(data, decided, &again) == PROXY_MORE; decided++)
		;
	if (r == PROXY_MORE)
		MUST(decided == n);
	else
		MUST(parse(data, decided, &again) == r);
	if (r == PROXY_DONE)
		MUST(decided == h.n && memcmp(&h, &again, sizeof(h)) == 0);
	return 0;
}
