/* SPDX-License-Identifier: Apache-2.0 */
#include "net/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>

static void
make(struct peer *p, const char *address, uint16_t port)
{
	struct sockaddr_storage sa = {0};
	struct sockaddr_in6 *in6 = (void *)&sa;
	struct sockaddr_in *in = (void *)&sa;

	if (inet_pton(AF_INET, address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
	} else {
		assert_int_equal(inet_pton(AF_INET6, address, &in6->sin6_addr), 1);
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
	}
	peer_from(p, &sa);
	assert_true(p->key != 0);
}

static void
texts(void **state)
{
	static const struct {
		const char *address;
		uint16_t port;
		const char *host, *text;
	} cases[] = {
		{"192.0.2.1", 4711, "192.0.2.1", "192.0.2.1:4711"},
		{"255.255.255.255", 65535, "255.255.255.255", "255.255.255.255:65535"},
		{"2001:db8::1", 110, "2001:db8::1", "[2001:db8::1]:110"},
		{"::ffff:192.0.2.1", 4711, "192.0.2.1", "192.0.2.1:4711"},
		{"2001:db8:1111:2222:3333:4444:5555:6666", 65535,
		 "2001:db8:1111:2222:3333:4444:5555:6666",
		 "[2001:db8:1111:2222:3333:4444:5555:6666]:65535"},
		{"fedc:ba98:7654:3210:fedc:ba98:7654:3210", 65535,
		 "fedc:ba98:7654:3210:fedc:ba98:7654:3210",
		 "[fedc:ba98:7654:3210:fedc:ba98:7654:3210]:65535"},
	};
	struct peer p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make(&p, cases[i].address, cases[i].port);
		assert_string_equal(p.host, cases[i].host);
		assert_string_equal(p.text, cases[i].text);
	}
}

static void
keys(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"::1", "0.0.0.1", false},
	};
	struct peer a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make(&a, cases[i].a, 1);
		make(&b, cases[i].b, 2);
		assert_int_equal(a.key == b.key, cases[i].same);
	}
}

static void
a_local_socket_has_a_key_too(void **state)
{
	struct sockaddr_storage sa = {.ss_family = AF_UNIX};
	struct peer p;

	(void)state;
	peer_from(&p, &sa);
	assert_string_equal(p.text, "local");
	assert_true(p.key != 0);
}

static void
counts_up_to_the_limit_and_down_again(void **state)
{
	(void)state;
	assert_true(peer_enter(5, 2));
	assert_true(peer_enter(5, 2));
	assert_false(peer_enter(5, 2));
	assert_int_equal(peer_count(5), 2);
	assert_true(peer_enter(5 + 16, 2));       /* same shard */
	assert_true(peer_enter(5 + 16 * 256, 2)); /* same bucket */
	peer_leave(5);
	assert_true(peer_enter(5, 2));
	peer_leave(5);
	peer_leave(5);
	assert_int_equal(peer_count(5), 0);
	peer_leave(5 + 16);
	assert_int_equal(peer_count(5 + 16 * 256), 1);
	peer_leave(5 + 16 * 256);
	peer_leave(5); /* nobody: nothing */
	assert_int_equal(peer_count(5), 0);
}

static void
a_key_refused_at_once_leaves_nothing_behind(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++)
		assert_true(peer_enter(9, 0)); /* no limit */
	for (unsigned i = 0; i < 100; i++)
		peer_leave(9);
	assert_int_equal(peer_count(9), 0);
}

static void *
come_and_go(void *arg)
{
	(void)arg;
	for (uint64_t i = 1; i < 20000; i++) {
		assert_true(peer_enter(i % 7 + 1, 0));
		peer_leave(i % 7 + 1);
	}
	return NULL;
}

static void
many_threads_count_right(void **state)
{
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (uint64_t key = 1; key <= 7; key++)
		assert_int_equal(peer_count(key), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(keys),
		cmocka_unit_test(a_local_socket_has_a_key_too),
		cmocka_unit_test(counts_up_to_the_limit_and_down_again),
		cmocka_unit_test(a_key_refused_at_once_leaves_nothing_behind),
		cmocka_unit_test(many_threads_count_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
