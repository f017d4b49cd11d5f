/* SPDX-License-Identifier: Apache-2.0 */
/* PROXY protocol headers of both versions: their fields, their ends, and bytes that are none. */
#include "net/proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/peer.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define LIT(s) s, sizeof(s) - 1
#define V4 "\300\0\2\7\306\063\144\1\x12\x67\0\x6e" /* 192.0.2.7:4711 to 198.51.100.1:110 */

static const struct {
	const char *name;
	const char *p;
	size_t n;
	enum proxy_result want;
	size_t end;       /* octets of the header */
	const char *from; /* NULL: local */
} cases[] = {
	{"tcp4", LIT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 110\r\nUSER"), PROXY_DONE, 44,
	 "192.0.2.7:4711"},
	{"tcp6", LIT("PROXY TCP6 2001:db8::7 ::1 4711 995\r\n"), PROXY_DONE, 37,
	 "[2001:db8::7]:4711"},
	{"mapped", LIT("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n"), PROXY_DONE, 37, "192.0.2.7:1"},
	{"unknown", LIT("PROXY UNKNOWN\r\n"), PROXY_DONE, 15, NULL},
	{"unknown, more", LIT("PROXY UNKNOWN what ever 1 2\r\n"), PROXY_DONE, 29, NULL},
	{"port 0", LIT("PROXY TCP4 192.0.2.7 198.51.100.1 0 65535\r\n"), PROXY_DONE, 43,
	 "192.0.2.7:0"},
	{"no CR", LIT("PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n"), PROXY_BAD, 0, NULL},
	{"two spaces", LIT("PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n"), PROXY_BAD, 0, NULL},
	{"space at the end", LIT("PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n"), PROXY_BAD, 0, NULL},
	{"a word too many", LIT("PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n"), PROXY_BAD, 0, NULL},
	{"a word too few", LIT("PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n"), PROXY_BAD, 0, NULL},
	{"port too large", LIT("PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n"), PROXY_BAD, 0,
	 NULL},
	{"port with 0", LIT("PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n"), PROXY_BAD, 0, NULL},
	{"families mixed", LIT("PROXY TCP4 ::1 ::1 1 2\r\n"), PROXY_BAD, 0, NULL},
	{"octal", LIT("PROXY TCP4 192.0.02.7 198.51.100.1 1 2\r\n"), PROXY_BAD, 0, NULL},
	{"udp", LIT("PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n"), PROXY_BAD, 0, NULL},
	{"lower case", LIT("PROXY tcp4 192.0.2.7 198.51.100.1 1 2\r\n"), PROXY_BAD, 0, NULL},
	{"a NUL", LIT("PROXY TCP4 192.0.2.7\0 198.51.100.1 1 2\r\n"), PROXY_BAD, 0, NULL},
	{"nothing", LIT("PROXY \r\n"), PROXY_BAD, 0, NULL},
	{"a client", LIT("USER ann\r\n"), PROXY_BAD, 0, NULL},
	{"PASS", LIT("PASS"), PROXY_BAD, 0, NULL},
	{"TLS", LIT("\x16\3\1"), PROXY_BAD, 0, NULL},
	{"v2 tcp4", LIT(SIG "\x21\x11\0\x0c" V4 "USER"), PROXY_DONE, 28, "192.0.2.7:4711"},
	{"v2 tcp6",
	 LIT(SIG "\x21\x21\0\x24"
		 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
		 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\1\0\0\1"),
	 PROXY_DONE, 52, "[2001:db8::1]:256"},
	{"v2 local", LIT(SIG "\x20\0\0\0"), PROXY_DONE, 16, NULL},
	{"v2 local with a block", LIT(SIG "\x20\xff\0\3abc"), PROXY_DONE, 19, NULL},
	{"v2 unspec", LIT(SIG "\x21\0\0\0"), PROXY_DONE, 16, NULL},
	{"v2 no-op", LIT(SIG "\x21\x11\0\x10" V4 "\4\0\1x"), PROXY_DONE, 32, "192.0.2.7:4711"},
	{"v2 unknown TLV", LIT(SIG "\x21\x11\0\x0f" V4 "\xee\0\0"), PROXY_DONE, 31,
	 "192.0.2.7:4711"},
	{"v2 TLV cut", LIT(SIG "\x21\x11\0\x0e" V4 "\4\0"), PROXY_BAD, 0, NULL},
	{"v2 TLV too long", LIT(SIG "\x21\x11\0\x10" V4 "\4\0\2x"), PROXY_BAD, 0, NULL},
	{"v2 too short", LIT(SIG "\x21\x11\0\x0b\300\0\2\7\306\063\144\1\x12\x67\0"), PROXY_BAD, 0,
	 NULL},
	{"v2 udp", LIT(SIG "\x21\x12\0\x0c" V4), PROXY_BAD, 0, NULL},
	{"v2 family", LIT(SIG "\x21\x41\0\0"), PROXY_BAD, 0, NULL},
	{"v2 command", LIT(SIG "\x22\x11\0\0"), PROXY_BAD, 0, NULL},
	{"v3", LIT(SIG "\x31\x11\0\0"), PROXY_BAD, 0, NULL},
	{"v2 too large", LIT(SIG "\x21\x11\x10\0"), PROXY_BAD, 0, NULL},
	/* the checksums were made by another program */
	{"v2 crc",
	 LIT(SIG "\x21\x11\0\x13" V4 "\3\0\4"
		 "\134\245\213\374"),
	 PROXY_DONE, 35, "192.0.2.7:4711"},
	{"v2 crc wrong",
	 LIT(SIG "\x21\x11\0\x13" V4 "\3\0\4"
		 "\0\0\0\0"),
	 PROXY_BAD, 0, NULL},
};

/* Whole, and at every shorter length: MORE until it is decided, and nothing after that point
 * matters. */
static void
each_header(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct proxy_header h;
		struct peer p;
		const char *why = "";
		size_t n = 0;
		enum proxy_result r = PROXY_MORE;

		for (; n <= cases[i].n && r == PROXY_MORE; n++) {
			char *copy = malloc(n ? n : 1); /* to the octet, for the sanitizer */

			memcpy(copy, cases[i].p, n);
			r = proxy_parse(copy, n, &h, &why);
			free(copy);
		}
		if (r != cases[i].want)
			fail_msg("%s: %d instead of %d (%s)", cases[i].name, (int)r,
				 (int)cases[i].want, why);
		if (proxy_parse(cases[i].p, cases[i].n, &h, &why) != r)
			fail_msg("%s: another verdict on the whole", cases[i].name);
		if (r != PROXY_DONE)
			continue;
		if (h.n != cases[i].end || n - 1 != cases[i].end)
			fail_msg("%s: %zu octets", cases[i].name, h.n);
		if (h.local != !cases[i].from)
			fail_msg("%s: local?", cases[i].name);
		peer_from(&p, &h.from);
		if (cases[i].from)
			assert_string_equal(p.text, cases[i].from);
	}
}

static void
tlvs_tell_the_name_and_tls(void **state)
{
	static const char text[] = SIG "\x21\x11\0\x2b" V4 "\2\0\x0fpop.example.org"
				       "\x20\0\x0a\1\0\0\0\0\x21\0\2v3";
	struct proxy_header h;
	const char *why = "";

	(void)state;
	assert_int_equal(proxy_parse(text, sizeof(text) - 1, &h, &why), PROXY_DONE);
	assert_string_equal(h.authority, "pop.example.org");
	assert_true(h.tls);
	assert_int_equal(proxy_parse(LIT(SIG "\x21\x11\0\x14" V4 "\x20\0\5\0\0\0\0\0"), &h, &why),
			 PROXY_DONE);
	assert_false(h.tls);
	assert_int_equal(proxy_parse(LIT(SIG "\x21\x11\0\x13" V4 "\x20\0\4\1\0\0\0"), &h, &why),
			 PROXY_BAD);
}

static void
a_line_of_version_1_is_short(void **state)
{
	char text[200] = "PROXY UNKNOWN ";
	struct proxy_header h;
	const char *why = "";

	(void)state;
	memset(text + 14, 'x', sizeof(text) - 14);
	memcpy(text + 105, "\r\n", 2);
	assert_int_equal(proxy_parse(text, 107, &h, &why), PROXY_DONE);
	assert_int_equal(proxy_parse(text, 106, &h, &why), PROXY_MORE);
	memcpy(text + 105, "x\r\n", 3);
	assert_int_equal(proxy_parse(text, 108, &h, &why), PROXY_BAD);
	assert_int_equal(proxy_parse(text, 107, &h, &why), PROXY_BAD);
}

/* ---- trusted addresses ----------------------------------------------------------------------- */

static struct peer
peer_of(const char *text)
{
	struct sockaddr_storage sa = {0};
	struct peer p;

	if (inet_pton(AF_INET, text, &((struct sockaddr_in *)&sa)->sin_addr) == 1)
		sa.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&sa)->sin6_addr) == 1)
		sa.ss_family = AF_INET6;
	peer_from(&p, &sa);
	return p;
}

static void
networks(void **state)
{
	static const struct {
		const char *who, *network;
		bool in;
	} of[] = {
		{"192.0.2.7", "192.0.2.7", true},
		{"192.0.2.8", "192.0.2.7", false},
		{"192.0.2.7", "192.0.2.0/24", true},
		{"192.0.3.7", "192.0.2.0/24", false},
		{"192.0.3.7", "192.0.2.0/23", true},
		{"192.0.4.7", "192.0.2.0/23", false},
		{"10.200.3.4", "10.0.0.0/8", true},
		{"11.0.0.1", "10.0.0.0/8", false},
		{"1.2.3.4", "0.0.0.0/0", true},
		{"::1", "0.0.0.0/0", false},
		{"::1", "::1", true},
		{"2001:db8:1::5", "2001:db8::/32", true},
		{"2001:db9::5", "2001:db8::/32", false},
		{"192.0.2.7", "::/0", false},
		{"::ffff:192.0.2.7", "192.0.2.7", true},
		{"local", "local", true},
		{"local", "0.0.0.0/0", false},
		{"192.0.2.7", "local", false},
	};
	static const char *const wrong[] = {"",
					    "x",
					    "192.0.2",
					    "192.0.2.0/33",
					    "192.0.2.0/",
					    "192.0.2.0/-1",
					    "::/129",
					    "192.0.2.0/24/8",
					    "proxy.example.org",
					    "192.0.2.0 /24"};

	(void)state;
	for (size_t i = 0; i < COUNT(of); i++) {
		struct peer p = peer_of(of[i].who);

		if (!peer_network_valid(of[i].network) || peer_in(&p, of[i].network) != of[i].in)
			fail_msg("%s in %s", of[i].who, of[i].network);
	}
	for (size_t i = 0; i < COUNT(wrong); i++)
		if (peer_network_valid(wrong[i]))
			fail_msg("%s is no network", wrong[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_header),
		cmocka_unit_test(tlvs_tell_the_name_and_tls),
		cmocka_unit_test(a_line_of_version_1_is_short),
		cmocka_unit_test(networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
