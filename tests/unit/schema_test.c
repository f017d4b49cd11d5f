/* SPDX-License-Identifier: Apache-2.0 */
/* Every setting of the schema: right, wrong, and at the edges of its range. */
#include "conf/schema.h"

#include "conf_rig.h"

#include <inttypes.h>

#include "config.h"

/* ---- settings -------------------------------------------------------------------------------- */

/* `is` is the value in a dump (NULL: as given). No bad value: all texts are right. */
static const struct setting {
	enum schema_block block;
	const char *key, *good, *is, *bad, *error;
} settings[] = {
	{BLOCK_TOP, "config_version", "1", NULL, "2", "expected a number from 1 to 1"},
	{BLOCK_TOP, "user", "mail", NULL, "\"\"", "expected a text"},
	{BLOCK_TOP, "state_dir", "/s", NULL, "s", "expected an absolute file name"},
	{BLOCK_TOP, "run_dir", "/r", NULL, "./r", "expected an absolute file name"},
	{BLOCK_TOP, "module_dir", "\"/m d\"", "/m d", "\"\"", "expected an absolute file name"},
	{BLOCK_TOP, "hostname", "pop.example.org", NULL, "\"\"", "expected a text"},
	{BLOCK_TOP, "workers", "8", NULL, "3", "expected a number from 4 to 1024"},
	{BLOCK_TOP, "reserve", "31", NULL, "-1", "expected a number from 0 to 512"},
	{BLOCK_TOP, "max_sessions", "5", NULL, "1k", "expected a number from 1 to 1000000"},
	{BLOCK_TOP, "max_per_address", "0", NULL, "many", "expected a number from 0 to 1000000"},
	{BLOCK_TOP, "shed_ms", "3s", "3000", "9",
	 "expected a number from 10 to 600000 milliseconds"},
	{BLOCK_TOP, "tables_max", "1m", "1048576", "1023k",
	 "expected a number from 1048576 to 9223372036854775807 bytes"},
	{BLOCK_TOP, "login_timeout", "2m", "120", "0", "expected a number from 1 to 3600 seconds"},
	{BLOCK_TOP, "idle_timeout", "1d", "86400", "2d",
	 "expected a number from 1 to 86400 seconds"},
	{BLOCK_TOP, "drain", "0", NULL, "1.5", "expected a number from 0 to 3600 seconds"},
	{BLOCK_TOP, "takeover", "0", NULL, "500ms", "expected a number from 0 to 86400 seconds"},
	{BLOCK_TOP, "default_domain", "example.org", NULL, "\"\"", "expected a text"},
	{BLOCK_TOP, "name_case", "KEEP", "keep", "upper", "expected one of lower|keep"},
	{BLOCK_TOP, "apop", "on", "yes", "maybe", "expected yes or no"},
	{BLOCK_TOP, "max_bad_commands", "1000", NULL, "1001", "expected a number from 1 to 1000"},
	{BLOCK_TOP, "max_failed_logins", "1", NULL, "0x1", "expected a number from 1 to 100"},
	{BLOCK_TOP, "expire", "CLIENT", "client", "never",
	 "expected client or a number from 0 to 36500 days"},
	{BLOCK_TOP, "undo", "7", NULL, "client", "expected a number from 0 to 36500 days"},
	{BLOCK_TOP, "undo_storage", "attic\nstorage attic {\nmodule = m\n}", "attic", "\"\"",
	 "expected a text"},
	{BLOCK_TOP, "undo_waiting", "7", NULL, "0", "expected a number from 1 to 1000000"},
	{BLOCK_TOP, "quota_octets", "1g", "1073741824", "-1",
	 "expected a number from 0 to 9223372036854775807 bytes"},
	{BLOCK_TOP, "quota_messages", "1000", NULL, "many",
	 "expected a number from 0 to 9223372036854775807"},
	{BLOCK_TOP, "domain_octets", "2g", "2147483648", "all",
	 "expected a number from 0 to 9223372036854775807 bytes"},
	{BLOCK_TOP, "domain_messages", "0", NULL, "1.5",
	 "expected a number from 0 to 9223372036854775807"},
	{BLOCK_TOP, "quota_warn", "100", NULL, "101", "expected a number from 0 to 100"},
	{BLOCK_TOP, "quota_over", "refuse", NULL, "bounce", "expected one of defer|refuse"},
	{BLOCK_TOP, "state_volume", "v\nstate_dir = /v/s", "v", "\"\"", "expected a text"},
	{BLOCK_TLS, "certificate", "/c.pem", NULL, "c.pem", "expected an absolute file name"},
	{BLOCK_TLS, "key", "/k.pem", NULL, "~/k", "expected an absolute file name"},
	{BLOCK_TLS, "min_version", "1.3", NULL, "\"\"", "expected a text"},
	{BLOCK_TLS, "ciphers", "HIGH:!aNULL", NULL, "\"\"", "expected a text"},
	{BLOCK_LOG, "to", "syslog", NULL, "sys", "expected one of stderr|syslog|file"},
	{BLOCK_LOG, "file", "/l", NULL, "l", "expected an absolute file name"},
	{BLOCK_LOG, "json", "True", "yes", "1", "expected yes or no"},
	{BLOCK_LOG, "level", "debug", NULL, "error|warning",
	 "expected one of error|warning|notice|info|debug"},
	{BLOCK_DELIVERY, "idle_timeout", "5m", "300", "0",
	 "expected a number from 1 to 86400 seconds"},
	{BLOCK_DELIVERY, "max_sessions", "0", NULL, "-1", "expected a number from 0 to 1000000"},
	{BLOCK_DELIVERY, "max_recipients", "100", NULL, "0", "expected a number from 1 to 10000"},
	{BLOCK_DELIVERY, "max_errors", "5", NULL, "0", "expected a number from 1 to 100000"},
	{BLOCK_DELIVERY, "max_received", "30", NULL, "0", "expected a number from 1 to 10000"},
	{BLOCK_DELIVERY, "max_size", "1m", "1048576", "1",
	 "expected a number from 1024 to 2305843009213693951 bytes"},
	{BLOCK_DELIVERY, "max_header", "1k", "1024", "2g",
	 "expected a number from 1024 to 1073741824 bytes"},
	{BLOCK_DELIVERY, "bare_lf", "accept", NULL, "yes", "expected one of refuse|accept"},
	{BLOCK_DELIVERY, "bare_cr", "accept", NULL, "yes", "expected one of refuse|accept"},
	{BLOCK_DELIVERY, "long_lines", "refuse", NULL, "no", "expected one of refuse|accept"},
	{BLOCK_DELIVERY, "eight_bit", "refuse", NULL, "no", "expected one of refuse|accept"},
	{BLOCK_DELIVERY, "nul", "accept", NULL, "strip", "expected one of refuse|accept"},
	{BLOCK_DELIVERY, "check_delivered_to", "no", NULL, "never", "expected yes or no"},
	{BLOCK_DELIVERY, "delimiter", "-", NULL, "\"\"", "expected a text"},
	{BLOCK_DELIVERY, "unknown_recipient", "badmail", NULL, "drop",
	 "expected one of refuse|badmail"},
	{BLOCK_DELIVERY, "postmaster", "ann", NULL, "\"\"", "expected a text"},
	{BLOCK_LISTENER, "protocol", "lmtp", NULL, "imap", "expected one of pop3|lmtp|smtp"},
	{BLOCK_LISTENER, "path", "/s\nprotocol = lmtp", "/s", "s",
	 "expected an absolute file name"},
	{BLOCK_LISTENER, "mode", "0666", NULL, "0868",
	 "expected permissions in octal, such as 0660"},
	{BLOCK_LISTENER, "owner", "mail", NULL, "\"\"", "expected a text"},
	{BLOCK_LISTENER, "group", "mail", NULL, "\"\"", "expected a text"},
	{BLOCK_LISTENER, "xclient", "local, 192.0.2.0/24", "", NULL, NULL},
	{BLOCK_LISTENER, "address", "::1", NULL, "\"\"", "expected a text"},
	{BLOCK_LISTENER, "port", "995", NULL, "65536", "expected a number from 0 to 65535"},
	{BLOCK_LISTENER, "tls", "implicit", NULL, "\"\"", "expected one of none|starttls|implicit"},
	{BLOCK_LISTENER, "plaintext_login", "allow", NULL, "yes", "expected one of refuse|allow"},
	{BLOCK_LISTENER, "sndbuf", "8m", "8388608", "4095",
	 "expected a number from 4096 to 8388608 bytes"},
	{BLOCK_LISTENER, "proxy", "REQUIRED\nproxy_from = 10.0.0.1", "required", "v2",
	 "expected one of off|required"},
	{BLOCK_LISTENER, "proxy_from", "10.0.0.1, ::1\nproxy = required", "", NULL, NULL},
	{BLOCK_SECTION, "module", "m2", NULL, "\"\"", "expected a text"},
	{BLOCK_SECTION, "wrap", "first", NULL, "\"\"", "expected a text"},
	{BLOCK_SECTION, "storage", "store", NULL, "\"\"", "expected a text"},
	{BLOCK_SECTION, "domains", "a.org, b.org", "", NULL, NULL},
	{BLOCK_SECTION, "name_domain", "example.org", NULL, "\"\"", "expected a text"},
	{BLOCK_SECTION, "cache", "5m", "300", "25h", "expected a number from 0 to 86400 seconds"},
	{BLOCK_SECTION, "cache_negative", "0", NULL, "-1",
	 "expected a number from 0 to 3600 seconds"},
	{BLOCK_SECTION, "cache_size", "1", NULL, "0", "expected a number from 1 to 10000000"},
	{BLOCK_SECTION, "last_known_good", "4h", "14400", "31d",
	 "expected a number from 0 to 2592000 seconds"},
	{BLOCK_SECTION, "volume", "v", NULL, "\"\"", "expected a text"},
	{BLOCK_SECTION, "permits", "1024", NULL, "0", "expected a number from 1 to 1024"},
	{BLOCK_SECTION, "queue_max", "0", NULL, "-1", "expected a number from 0 to 1000000"},
	{BLOCK_SECTION, "wait_ms", "1h", "3600000", "1d",
	 "expected a number from 1 to 3600000 milliseconds"},
	{BLOCK_SECTION, "call_ms", "250", NULL, "1 parsec",
	 "expected a number from 1 to 3600000 milliseconds"},
	{BLOCK_SECTION, "scan_ms", "1 d", "86400000", "0",
	 "expected a number from 1 to 86400000 milliseconds"},
	{BLOCK_SECTION, "commit_ms", "1", NULL, "9223372036854775808",
	 "expected a number from 1 to 86400000 mil"},
	{BLOCK_SECTION, "trip_after", "0", NULL, "1000001", "expected a number from 0 to 1000000"},
	{BLOCK_SECTION, "breaker_open_ms", "10ms", "10", "9ms",
	 "expected a number from 10 to 3600000 milliseconds"},
	{BLOCK_VOLUME, "path", "/v/mail", NULL, "v", "expected an absolute file name"},
	{BLOCK_VOLUME, "mount", "/v", NULL, "v", "expected an absolute file name"},
	{BLOCK_VOLUME, "reserve_percent", "5", NULL, "91", "expected a number from 0 to 90"},
	{BLOCK_VOLUME, "reserve_octets", "1g", "1073741824", "5%",
	 "expected a number from 0 to 9223372036854775807 bytes"},
	{BLOCK_VOLUME, "reserve_file", "0", NULL, "2000g",
	 "expected a number from 0 to 1099511627776 bytes"},
	{BLOCK_DOMAIN, "expire", "30", NULL, "36501",
	 "expected client or a number from 0 to 36500 days"},
	{BLOCK_DOMAIN, "undo", "0", NULL, "-1", "expected a number from 0 to 36500 days"},
	{BLOCK_DOMAIN, "quota_octets", "10", NULL, "x",
	 "expected a number from 0 to 9223372036854775807 bytes"},
	{BLOCK_DOMAIN, "quota_messages", "10", NULL, "x",
	 "expected a number from 0 to 9223372036854775807"},
	{BLOCK_DOMAIN, "domain_octets", "10", NULL, "x",
	 "expected a number from 0 to 9223372036854775807 bytes"},
	{BLOCK_DOMAIN, "domain_messages", "10", NULL, "x",
	 "expected a number from 0 to 9223372036854775807"},
	{BLOCK_BADMAIL, "path", "/bad", NULL, "bad", "expected an absolute file name"},
	{BLOCK_BADMAIL, "volume", "v", NULL, "\"\"", "expected a text"},
	{BLOCK_BADMAIL, "max_octets", "1m", "1048576", "1023k",
	 "expected a number from 1048576 to 9223372036854775807 bytes"},
	{BLOCK_BADMAIL, "max_items", "10", NULL, "9", "expected a number from 10 to 100000000"},
	{BLOCK_BADMAIL, "max_age", "1d", "86400", "59",
	 "expected a number from 60 to 3153600000 seconds"},
	{BLOCK_BADMAIL, "retry_first", "1", NULL, "0", "expected a number from 1 to 86400 seconds"},
	{BLOCK_BADMAIL, "retry_max", "1h", "3600", "31d",
	 "expected a number from 1 to 2592000 seconds"},
	{BLOCK_METRICS, "address", "::1", NULL, "\"\"", "expected a text"},
	{BLOCK_METRICS, "port", "9144", NULL, "65536", "expected a number from 0 to 65535"},
	{BLOCK_METRICS, "path", "/m", NULL, "m", "expected an absolute file name"},
	{BLOCK_METRICS, "mode", "0666", NULL, "0868",
	 "expected permissions in octal, such as 0660"},
	{BLOCK_METRICS, "owner", "mail", NULL, "\"\"", "expected a text"},
	{BLOCK_METRICS, "group", "mail", NULL, "\"\"", "expected a text"},
	{BLOCK_BADMAIL, "permits", "4", NULL, "65", "expected a number from 1 to 64"},
};

/* The settings every file needs, except the one in line 1 of its block. */
static const struct {
	enum schema_block block;
	const char *head, *key, *value;
} needed[] = {
	{BLOCK_TOP, NULL, "config_version", "1"},
	{BLOCK_TLS, "tls", "certificate", "/c"},
	{BLOCK_TLS, NULL, "key", "/k"},
	{BLOCK_LOG, "}\nlog", NULL, NULL},
	{BLOCK_LISTENER, "}\nlistener pop3", "address", "0.0.0.0"},
	{BLOCK_LISTENER, NULL, "port", "110"},
	{BLOCK_VOLUME, "}\nvolume v", "path", "/v"},
	{BLOCK_DOMAIN, "}\ndomain example.org", NULL, NULL},
	{BLOCK_BADMAIL, "}\nbadmail", "path", "/v/b"},
	{BLOCK_DELIVERY, "}\ndelivery", NULL, NULL},
	{BLOCK_METRICS, "}\nmetrics", "port", "9144"},
	{BLOCK_SECTION, "}\nauth first {\nmodule = m\nstorage = store\n}\nauth second", "module",
	 "m"},
};

static unsigned
lines(const char *text)
{
	unsigned n = 1;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* A good file with this setting in it; returns the setting's line. */
static unsigned
make_text(char *text, size_t cap, const struct setting *s, const char *value)
{
	unsigned line = 0;
	size_t n = 0;

	if (s->block == BLOCK_TOP)
		n += (size_t)snprintf(text, cap, "%s = %s\n", s->key, value), line = 1;
	for (size_t i = 0; i < COUNT(needed); i++) {
		if (needed[i].block == BLOCK_METRICS && s->block != BLOCK_METRICS)
			continue; /* not every build can have it */
		if (needed[i].head)
			n += (size_t)snprintf(text + n, cap - n, "%s {\n", needed[i].head);
		if (needed[i].head && needed[i].block == s->block) {
			line = lines(text);
			n += (size_t)snprintf(text + n, cap - n, "%s = %s\n", s->key, value);
		}
		if (needed[i].block == s->block && strcmp(s->key, "path") == 0)
			continue; /* a path instead of address and port */
		if (needed[i].key &&
		    (needed[i].block != s->block || strcmp(needed[i].key, s->key) != 0))
			n += (size_t)snprintf(text + n, cap - n, "%s = %s\n", needed[i].key,
					      needed[i].value);
	}
	snprintf(text + n, cap - n, "}\nstorage store {\nmodule = n\n}\n");
	return line;
}

/* Refused as a whole by a build that cannot serve them. */
static bool
is_left_out(const struct setting *s)
{
#ifdef HAVE_MICROHTTPD
	(void)s;
	return false;
#else
	return s->block == BLOCK_METRICS;
#endif
}

static const struct schema_row *
row_of(const struct setting *s)
{
	for (size_t i = 0; i < schema_n_rows; i++)
		if (schema_rows[i].block == s->block && strcmp(schema_rows[i].key, s->key) == 0)
			return &schema_rows[i];
	fail_msg("the schema has no %s", s->key);
	return NULL;
}

static const void *
base_of(const struct conf *c, enum schema_block block)
{
	return block == BLOCK_LISTENER  ? (const void *)&c->listeners[0]
	       : block == BLOCK_SECTION ? (const void *)&c->auth[1]
	       : block == BLOCK_VOLUME  ? (const void *)&c->volumes[0]
	       : block == BLOCK_DOMAIN  ? (const void *)&c->domains[0]
					: (const void *)c;
}

static void
each_setting_right(void **state)
{
	char text[1000], buf[64];

	(void)state;
	assert_int_equal(COUNT(settings), schema_n_rows); /* a new setting wants its line above */
	for (size_t i = 0; i < COUNT(settings); i++) {
		const struct setting *s = &settings[i];
		struct conf *c;

		if (is_left_out(s))
			continue;
		(void)make_text(text, sizeof(text), s, s->good);
		c = load_good(text);
		assert_string_equal(schema_text(row_of(s), base_of(c, s->block), buf, sizeof(buf)),
				    s->is ? s->is : s->good);
		conf_put(c);
	}
}

static void
each_setting_wrong(void **state)
{
	char text[1000], expected[300];

	(void)state;
	for (size_t i = 0; i < COUNT(settings); i++) {
		const struct setting *s = &settings[i];
		const char *value = s->bad && strcmp(s->bad, "\"\"") == 0 ? "" : s->bad;

		if (!s->bad)
			continue;
		snprintf(expected, sizeof(expected), "c:%u:1 %s = %s: %s\n",
			 make_text(text, sizeof(text), s, s->bad), s->key, value, s->error);
		conf_put(load(text));
		if (strncmp(said, expected, strlen(expected) - 1) != 0)
			fail_msg("expected %s, is %s", expected, said);
	}
}

/* The edges of each range are in it, and the values just beyond them are not. */
static void
ranges(void **state)
{
	char value[32];

	(void)state;
	for (size_t i = 0; i < schema_n_rows; i++) {
		const struct schema_row *row = &schema_rows[i];
		int64_t div = row->type == TYPE_SECONDS ? 1000 : 1;
		int64_t beyond = row->max < INT64_MAX ? row->max / div + 1 : 0;
		const struct {
			int64_t v;
			size_t errors;
		} cases[] = {{row->min / div, 0},
			     {row->max / div, 0},
			     {row->min / div - 1, 1},
			     {beyond, 1}};

		if (row->max == 0 || row->max == INT64_MAX)
			continue;
		for (size_t k = 0; k < COUNT(cases); k++) {
			union {
				struct conf conf;
				struct conf_listener listener;
				struct conf_section section;
			} base = {0};
			struct conf_node node = {
				.key = row->key, .value = value, .where = {"c", 1, 1}};
			struct conf_errors e = {0};
			char buf[64];

			snprintf(value, sizeof(value), "%" PRId64, cases[k].v);
			assert_true(schema_set(row->block, &base, NULL, &node, &e));
			if (e.count != cases[k].errors)
				fail_msg("%s = %s: %zu errors", row->key, value, e.count);
			if (e.count == 0)
				assert_string_equal(schema_text(row, &base, buf, sizeof(buf)),
						    value);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_setting_right),
		cmocka_unit_test(each_setting_wrong),
		cmocka_unit_test(ranges),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
