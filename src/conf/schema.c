/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "host/nearest.h"
#include "host/number.h"

#define TOP(k, t, f, lo, hi, w, d, doc) \
	{ \
		BLOCK_TOP, k, t, offsetof(struct conf, f), lo, hi, w, d, doc \
	}
#define TLS(k, t, f, w, d, doc) \
	{ \
		BLOCK_TLS, k, t, offsetof(struct conf, f), 0, 0, w, d, doc \
	}
#define LOG(k, t, f, w, d, doc) \
	{ \
		BLOCK_LOG, k, t, offsetof(struct conf, f), 0, 0, w, d, doc \
	}
#define LIS(k, t, f, lo, hi, w, d, doc) \
	{ \
		BLOCK_LISTENER, k, t, offsetof(struct conf_listener, f), lo, hi, w, d, doc \
	}
#define DLV(k, t, f, lo, hi, w, d, doc) \
	{ \
		BLOCK_DELIVERY, k, t, offsetof(struct conf, delivery.f), lo, hi, w, d, doc \
	}
#define SEC(k, t, f, lo, hi, d, doc) \
	{ \
		BLOCK_SECTION, k, t, offsetof(struct conf_section, f), lo, hi, NULL, d, doc \
	}

#define VOL(k, t, f, lo, hi, d, doc) \
	{ \
		BLOCK_VOLUME, k, t, offsetof(struct conf_volume, f), lo, hi, NULL, d, doc \
	}
#define DOM(k, t, f, lo, hi, w, doc) \
	{ \
		BLOCK_DOMAIN, k, t, offsetof(struct conf_domain, f), lo, hi, w, "-1", doc \
	}
#define MET(k, t, f, lo, hi, d, doc) \
	{ \
		BLOCK_METRICS, k, t, offsetof(struct conf, metrics.f), lo, hi, NULL, d, doc \
	}
#define BAD(k, t, f, lo, hi, d, doc) \
	{ \
		BLOCK_BADMAIL, k, t, offsetof(struct conf, badmail.f), lo, hi, NULL, d, doc \
	}

#define DAYS_MAX 36500
#define DAY (INT64_C(86400) * S)
#define S 1000 /* ms in a second */

#define CLIENT (-2) /* PM_EXPIRE_CLIENT */

const struct schema_row schema_rows[] = {
	TOP("config_version", TYPE_U32, config_version, 1, 1, NULL, NULL,
	    "version of this file's language: 1"),
	TOP("user", TYPE_STRING, user, 0, 0, NULL, NULL,
	    "service user; required when started as root"),
	TOP("state_dir", TYPE_PATH, state_dir, 0, 0, NULL, DEFAULT_STATE_DIR,
	    "what survives restarts"),
	TOP("run_dir", TYPE_PATH, run_dir, 0, 0, NULL, DEFAULT_RUN_DIR, "control socket"),
	TOP("module_dir", TYPE_PATH, module_dir, 0, 0, NULL, DEFAULT_MODULE_DIR,
	    "where `module = NAME` is looked for"),
	TOP("hostname", TYPE_STRING, hostname, 0, 0, NULL, NULL,
	    "name in the greeting; default: the host's"),
	TOP("workers", TYPE_U32, workers, 4, 1024, NULL, "32", "worker threads"),
	TOP("reserve", TYPE_U32, reserve, 0, 512, NULL, "0",
	    "workers no module may hold; 0: an eighth, 2 at least"),
	TOP("max_sessions", TYPE_U32, max_sessions, 1, 1000000, NULL, "10000",
	    "connections in all"),
	TOP("max_per_address", TYPE_U32, max_per_address, 0, 1000000, NULL, "1000",
	    "connections of one IPv4 address or IPv6 /64; 0: no limit"),
	TOP("shed_ms", TYPE_MS, shed_ms, 10, 600 * S, NULL, "2000",
	    "accept no more while work waits longer than this"),
	TOP("tables_max", TYPE_BYTES, tables_max, 1 << 20, INT64_MAX, NULL, "1g",
	    "memory of all message tables together"),
	TOP("login_timeout", TYPE_SECONDS, login_timeout_ms, 1 * S, 3600 * S, NULL, "60",
	    "from connect to login"),
	TOP("idle_timeout", TYPE_SECONDS, idle_timeout_ms, 1 * S, 86400 * S, NULL, "600",
	    "without a command; RFC 1939 asks for 600 at least"),
	TOP("drain", TYPE_SECONDS, drain_ms, 0, 3600 * S, NULL, "30",
	    "time sessions get to QUIT at shutdown"),
	TOP("takeover", TYPE_SECONDS, takeover_ms, 0, 86400 * S, NULL, "60",
	    "a session silent this long gives its maildrop to a newcomer from the same address"),
	TOP("default_domain", TYPE_STRING, default_domain, 0, 0, NULL, NULL,
	    "added to names without one"),
	TOP("name_case", TYPE_CHOICE, name_case, 0, 0, "lower|keep", "lower",
	    "case of the local part of names"),
	TOP("apop", TYPE_BOOL, apop, 0, 0, NULL, "no",
	    "offer APOP; needs passwords kept in plain text"),
	TOP("max_bad_commands", TYPE_U32, max_bad_commands, 1, 1000, NULL, "20",
	    "in a row; then the connection ends"),
	TOP("max_failed_logins", TYPE_U32, max_failed_logins, 1, 100, NULL, "3", "per connection"),
	TOP("expire", TYPE_DAYS, site.expire_days, 0, DAYS_MAX, "client", "client",
	    "when retrieved mail goes: client (DELE), 0 (at the QUIT of its retrieval), or days "
	    "after it"),
	TOP("undo", TYPE_DAYS, site.undo_days, 0, DAYS_MAX, NULL, "0",
	    "days deleted mail can be brought back"),
	TOP("undo_storage", TYPE_STRING, undo_storage, 0, 0, NULL, NULL,
	    "storage section such mail is moved to; none: it stays in its own"),
	TOP("undo_waiting", TYPE_U32, undo_waiting, 1, 1000000, NULL, "10000",
	    "accounts that wait for their deleted mail to be moved; beyond, all mailboxes are "
	    "walked"),
	TOP("quota_octets", TYPE_BYTES, site.quota_octets, 0, INT64_MAX, NULL, "0",
	    "of a user; 0: no limit"),
	TOP("quota_messages", TYPE_I64, site.quota_msgs, 0, INT64_MAX, NULL, "0",
	    "of a user; 0: no limit"),
	TOP("domain_octets", TYPE_BYTES, site.domain_octets, 0, INT64_MAX, NULL, "0",
	    "of a domain in all; 0: no limit"),
	TOP("domain_messages", TYPE_I64, site.domain_msgs, 0, INT64_MAX, NULL, "0",
	    "of a domain in all; 0: no limit"),
	TOP("quota_warn", TYPE_U32, quota_warn, 0, 100, NULL, "80",
	    "percent of a quota that bring a warning mail; 0: none"),
	TOP("quota_over", TYPE_CHOICE, quota_over, 0, 0, "defer|refuse", "defer",
	    "a full mailbox: 452 4.2.2, the sender keeps trying, or 552 5.2.2"),
	TOP("state_volume", TYPE_STRING, state_volume, 0, 0, NULL, NULL,
	    "volume block state_dir is on"),
	TLS("certificate", TYPE_PATH, tls_certificate, NULL, NULL,
	    "PEM file: certificate and chain"),
	TLS("key", TYPE_PATH, tls_key, NULL, NULL, "PEM file: its private key"),
	TLS("min_version", TYPE_STRING, tls_min_version, NULL, "1.2", "1.2 or 1.3"),
	TLS("ciphers", TYPE_STRING, tls_ciphers, NULL, NULL, "OpenSSL list for TLS 1.2"),
	LOG("to", TYPE_CHOICE, log_sink, "stderr|syslog|file", "stderr", "where lines go"),
	LOG("file", TYPE_PATH, log_file, NULL, NULL, "with to = file"),
	LOG("json", TYPE_BOOL, log_json, NULL, "no", "one JSON object a line"),
	LOG("level", TYPE_CHOICE, log_level, "error|warning|notice|info|debug", "info",
	    "lines above it are not made"),
	DLV("idle_timeout", TYPE_SECONDS, idle_timeout_ms, 1 * S, 86400 * S, NULL, "300",
	    "without a byte from the client; RFC 5321 asks for 300 at least"),
	DLV("max_sessions", TYPE_U32, max_sessions, 0, 1000000, NULL, "0",
	    "LMTP and SMTP connections; 0: up to the server's max_sessions"),
	DLV("max_recipients", TYPE_U32, max_recipients, 1, 10000, NULL, "1000",
	    "of one message; RFC 5321 asks for 100 at least"),
	DLV("max_errors", TYPE_U32, max_errors, 1, 100000, NULL, "20",
	    "refused commands of a session; then it ends"),
	DLV("max_received", TYPE_U32, max_received, 1, 10000, NULL, "100",
	    "Received fields of a message; more is a loop"),
	DLV("max_size", TYPE_BYTES, max_size, 1024, INT64_MAX / 4, NULL, "50m",
	    "octets of a message"),
	DLV("max_header", TYPE_BYTES, max_header, 1024, 1 << 30, NULL, "256k",
	    "octets of its header"),
	DLV("bare_lf", TYPE_CHOICE, bare_lf, 0, 0, "refuse|accept", "refuse",
	    "LF without CR; accepted, it becomes CRLF"),
	DLV("bare_cr", TYPE_CHOICE, bare_cr, 0, 0, "refuse|accept", "refuse", "CR without LF"),
	DLV("long_lines", TYPE_CHOICE, long_lines, 0, 0, "refuse|accept", "accept",
	    "lines of more than 998 octets"),
	DLV("eight_bit", TYPE_CHOICE, eight_bit, 0, 0, "refuse|accept", "accept",
	    "8-bit text not announced by BODY=8BITMIME"),
	DLV("nul", TYPE_CHOICE, nul, 0, 0, "refuse|accept", "refuse", "octets of value 0"),
	DLV("check_delivered_to", TYPE_BOOL, check_delivered_to, 0, 0, NULL, "yes",
	    "refuse what was delivered to the same address before"),
	DLV("delimiter", TYPE_STRING, delimiter, 0, 0, NULL, "+",
	    "user+tag is user's, unless it is an account; none: no such thing"),
	DLV("unknown_recipient", TYPE_CHOICE, unknown_recipient, 0, 0, "refuse|badmail", "refuse",
	    "mail for nobody in a domain of ours: 550 5.1.1, or kept in Badmail"),
	DLV("postmaster", TYPE_STRING, postmaster, 0, 0, NULL, NULL,
	    "account for postmaster where no account is called so"),
	LIS("protocol", TYPE_CHOICE, protocol, 0, 0, "pop3|lmtp|smtp", "pop3",
	    "what is spoken there"),
	LIS("address", TYPE_STRING, address, 0, 0, NULL, NULL,
	    "IPv4 or IPv6 address; 0.0.0.0 for all of IPv4, :: for all of IPv6"),
	LIS("port", TYPE_PORT, port, 0, 65535, NULL, NULL, "110 for POP3, 995 for POP3 over TLS"),
	LIS("path", TYPE_PATH, path, 0, 0, NULL, NULL,
	    "instead of address and port: a unix socket"),
	LIS("mode", TYPE_MODE, mode, 0, 0, NULL, "0660", "of the unix socket, octal"),
	LIS("owner", TYPE_STRING, owner, 0, 0, NULL, NULL,
	    "of the unix socket; default: the service user"),
	LIS("group", TYPE_STRING, group, 0, 0, NULL, NULL,
	    "of the unix socket; default: the service user's"),
	LIS("xclient", TYPE_WORDS, xclient, 0, 0, NULL, NULL,
	    "addresses and networks that may say XCLIENT; local: the unix socket; may be repeated"),
	LIS("tls", TYPE_CHOICE, tls, 0, 0, "none|starttls|implicit", "starttls",
	    "how encryption begins"),
	LIS("plaintext_login", TYPE_CHOICE, plaintext_login, 0, 0, "refuse|allow", "refuse",
	    "logins without TLS"),
	LIS("sndbuf", TYPE_BYTES, sndbuf, 4096, 8 << 20, NULL, "64k",
	    "SO_SNDBUF: kernel memory a slow reader may hold"),
	LIS("proxy", TYPE_CHOICE, proxy, 0, 0, "off|required", "off",
	    "required: only proxies of proxy_from come here, with a PROXY protocol header first"),
	LIS("proxy_from", TYPE_WORDS, proxy_from, 0, 0, NULL, NULL,
	    "addresses and networks of those proxies; may be repeated"),
	SEC("module", TYPE_STRING, module, 0, 0, NULL,
	    "module: a name in module_dir, or an absolute file"),
	SEC("wrap", TYPE_STRING, wrap, 0, 0, NULL, "section of the same kind that this one wraps"),
	SEC("storage", TYPE_STRING, storage, 0, 0, NULL, "auth: where its users' mail is"),
	SEC("domains", TYPE_WORDS, domains, 0, 0, NULL,
	    "auth: only names of these domains; *.example.org too; may be repeated"),
	SEC("name_domain", TYPE_STRING, name_domain, 0, 0, NULL,
	    "auth: appended to names of accounts without a domain; none: they need none"),
	SEC("cache", TYPE_SECONDS, cache_ms, 0, 86400 * S, "-1",
	    "auth: an accepted name and password are not asked for again for so long; 0: always"),
	SEC("cache_negative", TYPE_SECONDS, cache_negative_ms, 0, 3600 * S, "-1",
	    "auth: likewise for what was refused"),
	SEC("cache_size", TYPE_I64, cache_size, 1, 10000000, "-1",
	    "auth: most accepted pairs kept, and as many refused ones"),
	SEC("last_known_good", TYPE_SECONDS, last_known_good_ms, 0, (int64_t)30 * 86400 * S, "-1",
	    "auth: while the section cannot be asked, who was accepted within this time comes in; "
	    "0: nobody"),
	SEC("volume", TYPE_STRING, volume, 0, 0, NULL, "storage: the volume block its mail is on"),
	SEC("permits", TYPE_I64, permits, 1, 1024, "-1", "calls into the module at once"),
	SEC("queue_max", TYPE_I64, queue_max, 0, 1000000, "-1", "sessions waiting for a permit"),
	SEC("wait_ms", TYPE_MS, wait_ms, 1, 3600 * S, "-1", "longest wait for a permit"),
	SEC("call_ms", TYPE_MS, call_ms, 1, 3600 * S, "-1", "deadline of a call"),
	SEC("scan_ms", TYPE_MS, scan_ms, 1, 86400 * S, "-1",
	    "deadline of opening and scanning a mailbox"),
	SEC("commit_ms", TYPE_MS, commit_ms, 1, 86400 * S, "-1", "deadline of a commit"),
	SEC("trip_after", TYPE_I64, trip_after, 0, 1000000, "-1",
	    "failures in a row that open the breaker; 0: never"),
	SEC("breaker_open_ms", TYPE_MS, breaker_open_ms, 10, 3600 * S, "-1",
	    "how long it stays open"),
	VOL("path", TYPE_PATH, path, 0, 0, NULL,
	    "a directory on it; the reserve file is kept there"),
	VOL("mount", TYPE_PATH, mount, 0, 0, NULL,
	    "nothing is written unless this is a mount point"),
	VOL("reserve_percent", TYPE_I64, reserve_percent, 0, 90, "2",
	    "free space that new mail may not use"),
	VOL("reserve_octets", TYPE_BYTES, reserve_octets, 0, INT64_MAX, "0",
	    "the same in octets; the larger one counts"),
	VOL("reserve_file", TYPE_BYTES, reserve_file, 0, INT64_C(1) << 40, "4m",
	    "space given back when the disk is full, so that deletions work; 0: none"),
	DOM("expire", TYPE_DAYS, limits.expire_days, 0, DAYS_MAX, "client",
	    "as at the top, for this domain"),
	DOM("undo", TYPE_DAYS, limits.undo_days, 0, DAYS_MAX, NULL, "likewise"),
	DOM("quota_octets", TYPE_BYTES, limits.quota_octets, 0, INT64_MAX, NULL,
	    "of each user of this domain"),
	DOM("quota_messages", TYPE_I64, limits.quota_msgs, 0, INT64_MAX, NULL, "likewise"),
	DOM("domain_octets", TYPE_BYTES, limits.domain_octets, 0, INT64_MAX, NULL,
	    "of the domain as a whole"),
	DOM("domain_messages", TYPE_I64, limits.domain_msgs, 0, INT64_MAX, NULL, "likewise"),
	BAD("path", TYPE_PATH, path, 0, 0, NULL, "directory of the store; made when missing"),
	BAD("volume", TYPE_STRING, volume, 0, 0, NULL, "volume block it is on"),
	BAD("max_octets", TYPE_BYTES, max_octets, 1 << 20, INT64_MAX, "1g",
	    "of all items together"),
	BAD("max_items", TYPE_I64, max_items, 10, 100000000, "100000", "of all items together"),
	BAD("max_age", TYPE_SECONDS, max_age_ms, 60 * S, 36500 * DAY, "2592000",
	    "of refused mail; 2592000 are 30 days"),
	BAD("retry_first", TYPE_SECONDS, retry_first_ms, 1 * S, 86400 * S, "60",
	    "until accepted mail is tried again; doubled each time"),
	BAD("retry_max", TYPE_SECONDS, retry_max_ms, 1 * S, 30 * DAY, "3600",
	    "longest time between two tries"),
	MET("address", TYPE_STRING, address, 0, 0, NULL,
	    "loopback address /metrics is served on: 127.0.0.1 unless given, or ::1"),
	MET("port", TYPE_PORT, port, 0, 65535, NULL, "its port"),
	MET("path", TYPE_PATH, path, 0, 0, NULL, "instead of address and port: a unix socket"),
	MET("mode", TYPE_MODE, mode, 0, 0, "0660", "of the unix socket, octal"),
	MET("owner", TYPE_STRING, owner, 0, 0, NULL,
	    "of the unix socket; default: the service user"),
	MET("group", TYPE_STRING, group, 0, 0, NULL,
	    "of the unix socket; default: the service user's"),
	BAD("permits", TYPE_I64, permits, 1, 64, "2",
	    "workers that may be busy with its disk at once"),
};
const size_t schema_n_rows = sizeof(schema_rows) / sizeof(schema_rows[0]);

/* ---- one value ------------------------------------------------------------------------------- */

static int
choice_index(const char *words, const char *text)
{
	size_t n = strlen(text);

	for (int i = 0;; i++) {
		size_t len = strcspn(words, "|");

		if (len == n && strncasecmp(words, text, n) == 0)
			return i;
		if (!words[len])
			return -1;
		words += len + 1;
	}
}

/* Numbers are stored with the width of their field. */
static void
store_number(const struct schema_row *row, char *at, int64_t v)
{
	if (row->type == TYPE_U32 || row->type == TYPE_DAYS || row->type == TYPE_MODE) {
		uint32_t x = (uint32_t)v;

		memcpy(at, &x, sizeof(x));
	} else if (row->type == TYPE_PORT) {
		uint16_t x = (uint16_t)v;

		memcpy(at, &x, sizeof(x));
	} else if (row->type == TYPE_BYTES && row->block == BLOCK_LISTENER) {
		int32_t x = (int32_t)v;

		memcpy(at, &x, sizeof(x));
	} else {
		memcpy(at, &v, sizeof(v));
	}
}

static int64_t
load_number(const struct schema_row *row, const char *at)
{
	uint32_t u32;
	uint16_t u16;
	int32_t i32;
	int64_t i64;

	if (row->type == TYPE_U32 || row->type == TYPE_MODE) {
		memcpy(&u32, at, sizeof(u32));
		return u32;
	}
	if (row->type == TYPE_PORT) {
		memcpy(&u16, at, sizeof(u16));
		return u16;
	}
	if (row->type == TYPE_BYTES && row->block == BLOCK_LISTENER) {
		memcpy(&i32, at, sizeof(i32));
		return i32;
	}
	if (row->type == TYPE_DAYS) {
		memcpy(&i32, at, sizeof(i32));
		return i32;
	}
	memcpy(&i64, at, sizeof(i64));
	return i64;
}

/* The log level's field holds syslog's number, a bool choice 0 or 1. */
static void
store_choice(const struct schema_row *row, char *at, int i)
{
	if (row->offset == offsetof(struct conf, log_level) && row->block == BLOCK_LOG)
		i += LOG_LVL_ERROR;
	if (row->block == BLOCK_LISTENER &&
	    row->offset == offsetof(struct conf_listener, plaintext_login)) {
		bool b = i != 0;

		memcpy(at, &b, sizeof(b));
		return;
	}
	memcpy(at, &i, sizeof(i));
}

/* "0660", "660": permissions. */
static bool
parse_mode(const char *text, int64_t *ret)
{
	char *end;

	*ret = strtol(text, &end, 8);
	return *text >= '0' && *text <= '7' && !*end && *ret >= 0 && *ret <= 0777;
}

static bool
parse_number(const struct schema_row *row, const char *text, int64_t *ret)
{
	const char *unit = row->type == TYPE_SECONDS ? "s"
			   : row->type == TYPE_MS    ? "ms"
			   : row->type == TYPE_BYTES ? "bytes"
						     : "";

	if (row->type == TYPE_MODE)
		return parse_mode(text, ret);
	if (!host_parse_number(text, unit, ret))
		return false;
	if (row->type == TYPE_SECONDS && __builtin_mul_overflow(*ret, S, ret))
		return false;
	return *ret >= row->min && *ret <= row->max;
}

static void
bad_number(const struct schema_row *row, const struct conf_node *node, struct conf_errors *e)
{
	int64_t div = row->type == TYPE_SECONDS ? S : 1;
	const char *unit = row->type == TYPE_SECONDS ? " seconds"
			   : row->type == TYPE_MS    ? " milliseconds"
			   : row->type == TYPE_BYTES ? " bytes"
			   : row->type == TYPE_DAYS  ? " days"
						     : "";

	if (row->type == TYPE_MODE) {
		conf_error(e, &node->where, "%s = %s: expected permissions in octal, such as 0660",
			   node->key, node->value);
		return;
	}
	conf_error(e, &node->where,
		   "%s = %s: expected %s%sa number from %" PRId64 " to %" PRId64 "%s", node->key,
		   node->value, row->type == TYPE_DAYS && row->words ? row->words : "",
		   row->type == TYPE_DAYS && row->words ? " or " : "", row->min / div,
		   row->max / div, unit);
}

/* A list and its length lie side by side (domains, n_domains); a key that is repeated adds to
 * it. */
static void
add_words(char *at, struct arena *a, const char *text, const struct conf_node *node,
	  struct conf_errors *e)
{
	const char **words, **all;
	size_t n, max = strlen(text) / 2 + 1;

	memcpy(&words, at, sizeof(words));
	memcpy(&n, at + sizeof(words), sizeof(n));
	all = arena_array(a, n + max, sizeof(*all));
	if (!all) {
		conf_error(e, &node->where, "no memory");
		return;
	}
	if (n > 0)
		memcpy(all, words, n * sizeof(*all));
	while (*text) {
		size_t len = strcspn(text, " \t,");

		if (len > 0 && (all[n] = arena_dup(a, text, len)) != NULL)
			n++;
		text += len + (text[len] != '\0');
	}
	if (n == 0)
		conf_error(e, &node->where, "%s is empty; leave it out instead", node->key);
	memcpy(at, &all, sizeof(all));
	memcpy(at + sizeof(all), &n, sizeof(n));
}

static bool
bool_of(const char *text, bool *ret)
{
	int i = choice_index("yes|true|on|no|false|off", text);

	*ret = i >= 0 && i < 3;
	return i >= 0;
}

/* Each stores the value of a setting, or reports that it is none. NULL node: a default, known to be
 * right. */
static void
set_text(const struct schema_row *row, char *at, const char *text, const struct conf_node *node,
	 struct conf_errors *e)
{
	bool path = row->type == TYPE_PATH;

	if (path ? text[0] != '/' : !*text)
		conf_error(e, &node->where, "%s = %s: expected %s", node->key, text,
			   path ? "an absolute file name" : "a text");
	else
		memcpy(at, &text, sizeof(text));
}

static void
set_bool(char *at, const char *text, const struct conf_node *node, struct conf_errors *e)
{
	bool b;

	if (!bool_of(text, &b))
		conf_error(e, &node->where, "%s = %s: expected yes or no", node->key, text);
	memcpy(at, &b, sizeof(b));
}

static void
set_choice(const struct schema_row *row, char *at, const char *text, const struct conf_node *node,
	   struct conf_errors *e)
{
	int i = choice_index(row->words, text);

	if (i < 0)
		conf_error(e, &node->where, "%s = %s: expected one of %s", node->key, text,
			   row->words);
	else
		store_choice(row, at, i);
}

static void
set_number(const struct schema_row *row, char *at, const char *text, const struct conf_node *node,
	   struct conf_errors *e)
{
	int64_t v = -1;

	if (row->type == TYPE_DAYS && row->words && strcasecmp(text, row->words) == 0)
		v = CLIENT;
	else if (!node && strcmp(text, "-1") == 0)
		v = -1; /* only a default may be that */
	else if (!parse_number(row, text, &v) && node)
		return bad_number(row, node, e);
	store_number(row, at, v);
}

static void
set_value(const struct schema_row *row, void *base, struct arena *a, const char *text,
	  const struct conf_node *node, struct conf_errors *e)
{
	char *at = (char *)base + row->offset;

	switch (row->type) {
	case TYPE_STRING:
	case TYPE_PATH:
		set_text(row, at, text, node, e);
		break;
	case TYPE_BOOL:
		set_bool(at, text, node, e);
		break;
	case TYPE_CHOICE:
		set_choice(row, at, text, node, e);
		break;
	case TYPE_WORDS:
		add_words(at, a, text, node, e);
		break;
	default:
		set_number(row, at, text, node, e);
	}
}

/* ---- blocks ---------------------------------------------------------------------------------- */

void
schema_defaults(enum schema_block block, void *base)
{
	for (size_t i = 0; i < schema_n_rows; i++)
		if (schema_rows[i].block == block && schema_rows[i].dflt)
			set_value(&schema_rows[i], base, NULL, schema_rows[i].dflt, NULL, NULL);
}

static const struct schema_row *
find_row(enum schema_block block, const char *key)
{
	for (size_t i = 0; i < schema_n_rows; i++)
		if (schema_rows[i].block == block && strcmp(schema_rows[i].key, key) == 0)
			return &schema_rows[i];
	return NULL;
}

bool
schema_once(enum schema_block block, const char *key)
{
	const struct schema_row *row = find_row(block, key);

	return row && row->type != TYPE_WORDS;
}

bool
schema_set(enum schema_block block, void *base, struct arena *a, const struct conf_node *node,
	   struct conf_errors *e)
{
	const struct schema_row *row = find_row(block, node->key);

	if (row)
		set_value(row, base, a, node->value, node, e);
	return row != NULL;
}

void
schema_unknown(enum schema_block block, const struct conf_node *node, struct conf_errors *e)
{
	const char *words[96];
	size_t n = 0;
	const char *near;

	for (size_t i = 0; i < schema_n_rows && n < 96; i++)
		if (schema_rows[i].block == block)
			words[n++] = schema_rows[i].key;
	near = host_nearest(node->key, words, n);
	conf_error(e, &node->where, "unknown setting '%s'%s%s%s", node->key,
		   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

const char *
schema_text(const struct schema_row *row, const void *base, char *buf, size_t cap)
{
	const char *at = (const char *)base + row->offset, *s;
	int64_t v;
	bool b;
	int i = 0;

	buf[0] = '\0';
	switch (row->type) {
	case TYPE_STRING:
	case TYPE_PATH:
		memcpy(&s, at, sizeof(s));
		return s ? s : "";
	case TYPE_BOOL:
		memcpy(&b, at, sizeof(b));
		return b ? "yes" : "no";
	case TYPE_CHOICE:
		if (row->block == BLOCK_LISTENER &&
		    row->offset == offsetof(struct conf_listener, plaintext_login)) {
			memcpy(&b, at, sizeof(b));
			i = b;
		} else {
			memcpy(&i, at, sizeof(i));
		}
		if (row->block == BLOCK_LOG && row->offset == offsetof(struct conf, log_level))
			i -= LOG_LVL_ERROR;
		s = row->words;
		while (i-- > 0)
			s += strcspn(s, "|") + 1;
		snprintf(buf, cap, "%.*s", (int)strcspn(s, "|"), s);
		return buf;
	case TYPE_WORDS:
		return ""; /* conf_dump writes lists itself */
	default:
		v = load_number(row, at);
		if (row->type == TYPE_DAYS && v == CLIENT)
			return row->words;
		if (row->type == TYPE_MODE)
			snprintf(buf, cap, "0%03o", (unsigned)v);
		else if (v >= 0)
			snprintf(buf, cap, "%" PRId64, row->type == TYPE_SECONDS ? v / S : v);
		return buf;
	}
}
