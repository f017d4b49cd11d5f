/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts: which are let in, which are not, and what the module tells about them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

static void
make_cred(struct pm_cred *c, const char *name, const char *secret)
{
	host_cred_init(c);
	c->kind = PM_CRED_PASSWORD;
	c->flags = PM_CREDF_TLS;
	c->service = kit_str("pop3");
	c->mech = kit_str("PLAIN");
	c->authcid = kit_str(name);
	c->secret = kit_str(secret);
	c->peer = kit_str("192.0.2.1");
	c->local = kit_str("192.0.2.2");
}

static int32_t
auth_ask(struct inst *in, const struct pm_cred *c, struct pm_user *u)
{
	host_user_init(u);
	return in->m->auth->verify(in->i, kit_pm(), c, u);
}

/* R5: all but sasl_error is as it was. */
static void
expect_untouched(const struct pm_user *u, const char *when)
{
	struct pm_user fresh;

	host_user_init(&fresh);
	fresh.sasl_error = u->sasl_error;
	EXPECT(memcmp(u, &fresh, sizeof(fresh)) == 0, "%s, and the user was written to", when);
}

/* Nobody gets in, and the module invents no failure either. */
static void
expect_refused(struct inst *in, const struct pm_cred *c, const char *what)
{
	struct pm_user u;
	int32_t rc = auth_ask(in, c, &u);

	EXPECT(rc == PM_DENIED || rc == PM_NEXT, "%s: verify gave %s (%s), expected DENIED or NEXT",
	       what, host_code_name(rc), kit_said());
	expect_untouched(&u, what);
}

static void
check_str(struct pm_str s, size_t max, const char *what)
{
	EXPECT(s.n <= max, "%s has %zu bytes, at most %zu are allowed", what, s.n, max);
	EXPECT(s.n == 0 || s.p, "%s: NULL with a length", what);
	for (size_t i = 0; i < s.n; i++)
		EXPECT((unsigned char)s.p[i] >= 0x20, "%s holds a control character", what);
}

/* ---- checks ---------------------------------------------------------------------------------- */

static void
auth_caps(void)
{
	struct inst *in = kit_open();
	uint64_t first = 0, again = 0;
	struct pm_user u;
	struct pm_cred c;

	expect_rc("caps", in->m->auth->caps(in->i, &first), PM_OK);
	EXPECT(first != 0, "no kind of credential at all");
	make_cred(&c, "nobody-there", "x");
	(void)auth_ask(in, &c, &u);
	expect_rc("caps", in->m->auth->caps(in->i, &again), PM_OK);
	EXPECT(first == again, "caps changed from %llx to %llx", (unsigned long long)first,
	       (unsigned long long)again);
	kit_close(in);
}

static void
auth_right(void)
{
	struct inst *in = kit_open();
	char name[PM_NAME_MAX + 1], secret[1024];
	struct pm_user u;
	struct pm_cred c;

	snprintf(name, sizeof(name), "%s", setup.user);
	snprintf(secret, sizeof(secret), "%s", setup.password);
	make_cred(&c, name, secret);
	expect_rc("verify with the right password", auth_ask(in, &c, &u), PM_OK);
	/* R4: the credentials were borrowed, the user lives on */
	memset(name, '#', sizeof(name) - 1);
	memset(secret, '#', sizeof(secret) - 1);
	EXPECT(u.size == sizeof(u), "it changed the size");
	EXPECT(u.state <= PM_USER_MUST_CHANGE, "state %u is unknown", u.state);
	check_str(u.name, PM_NAME_MAX, "name");
	check_str(u.key, PM_KEY_MAX, "key");
	check_str(u.section, 64, "section");
	check_str(u.domain, PM_NAME_MAX, "domain");
	EXPECT(!u.name.n || !memchr(u.name.p, '#', u.name.n) || strchr(setup.user, '#'),
	       "the name points into the credentials");
	for (uint32_t k = 0; k < u.n_attr; k++) {
		check_str(u.attr[k].key, 64, "an attribute's key");
		check_str(u.attr[k].value, PM_PATH_MAX, "an attribute's value");
	}
	kit_close(in);
}

static void
auth_wrong(void)
{
	struct inst *in = kit_open();
	char almost[1024];
	struct pm_cred c;
	size_t n = (size_t)snprintf(almost, sizeof(almost), "%s", setup.password);

	make_cred(&c, setup.user, "certainly wrong");
	expect_refused(in, &c, "a wrong password");
	c.secret = (struct pm_str){almost, n - 1};
	expect_refused(in, &c, "the password without its last character");
	almost[n] = 'x';
	c.secret = (struct pm_str){almost, n + 1};
	expect_refused(in, &c, "the password and one more character");
	almost[n] = '\0';
	c.secret = (struct pm_str){almost, n + 1};
	expect_refused(in, &c, "the password and a NUL (R9)");
	almost[0] ^= 0x20;
	c.secret = (struct pm_str){almost, n};
	expect_refused(in, &c, "the password with another first character");
	kit_close(in);
}

static void
empty_secret(void)
{
	struct inst *in = kit_open();
	struct pm_cred c;

	make_cred(&c, setup.user ? setup.user : "nobody-there", "");
	expect_refused(in, &c, "an empty password");
	c.secret = (struct pm_str){NULL, 0};
	expect_refused(in, &c, "no password at all");
	kit_close(in);
}

/* The result must be the wanted one, or the settings leave lookups blind: then check() must tell
 * those who depend on them. False: blind. */
static bool
expect_lookup(const char *what, int32_t rc, int32_t wanted)
{
	if (rc == PM_UNSUPPORTED)
		EXPECT(setup.wrapped || !kit_check(PM_OPENF_LOOKUPS),
		       "check() takes PM_OPENF_LOOKUPS, and lookup() cannot tell");
	else
		expect_rc(what, rc, wanted);
	return rc != PM_UNSUPPORTED;
}

static void
auth_unknown(void)
{
	struct inst *in = kit_open();
	struct pm_cred c;
	struct pm_user u;
	int32_t rc;

	make_cred(&c, "nobody-has-this-name@nowhere.example", "x");
	expect_refused(in, &c, "an unknown user");
	host_user_init(&u);
	rc = in->m->auth->lookup(in->i, kit_pm(), &c, &u);
	(void)expect_lookup("lookup of an unknown user", rc, PM_NOENT);
	expect_untouched(&u, "no user");
	kit_close(in);
}

/* Attackers send these as names. */
static const struct {
	const char *p;
	size_t n;
} hostile[] = {
#define N(s) \
	{ \
		s, sizeof(s) - 1 \
	}
	N(""),
	N("\0"),
	N("a\0b"),
	N("../../etc/passwd"),
	N("/etc/passwd"),
	N("."),
	N(".."),
	N("a/b@c/d"),
	N("*"),
	N("*)(uid=*"),
	N("admin)(&)"),
	N("' OR '1'='1"),
	N("x'; DROP TABLE users; --"),
	N("\" OR \"\"=\""),
	N("%s%s%s%n"),
	N("%u"),
	N("%d/%n"),
	N("a b"),
	N(" a"),
	N("a "),
	N("a:b"),
	N("a\nb"),
	N("a\r\nb"),
	N("\t"),
	N("$(id)"),
	N("`id`"),
	N("\\"),
	N("\xff\xfe"),
	N("\xc3"),
	N("\xed\xa0\x80"),
	N("@"),
	N("@@"),
	N("a@"),
	N("@b"),
	N("root"),
#undef N
};

static void
hostile_names(void)
{
	struct inst *in = kit_open();
	char longest[PM_NAME_MAX], what[80];
	struct pm_cred c;

	make_cred(&c, "", "' OR '1'='1");
	for (size_t k = 0; k < sizeof(hostile) / sizeof(hostile[0]); k++) {
		c.authcid = (struct pm_str){hostile[k].p, hostile[k].n};
		snprintf(what, sizeof(what), "hostile name %zu (%.20s)", k, hostile[k].p);
		expect_refused(in, &c, what);
	}
	memset(longest, 'a', sizeof(longest));
	c.authcid = (struct pm_str){longest, sizeof(longest)};
	expect_refused(in, &c, "a name of 320 bytes");
	kit_close(in);
}

static void
hostile_secrets(void)
{
	struct inst *in = kit_open();
	char secret[1024];
	struct pm_cred c;

	make_cred(&c, setup.user ? setup.user : "nobody-there", "");
	memset(secret, 'x', sizeof(secret));
	c.secret = (struct pm_str){secret, sizeof(secret)};
	expect_refused(in, &c, "a password of 1,024 bytes");
	memset(secret, 0, sizeof(secret));
	c.secret = (struct pm_str){secret, sizeof(secret)};
	expect_refused(in, &c, "a password of 1,024 NULs");
	memset(secret, 0xff, sizeof(secret));
	c.secret = (struct pm_str){secret, 300};
	expect_refused(in, &c, "a password of 300 bytes 0xFF");
	kit_close(in);
}

/* A kind that caps did not name is refused without harm. */
static void
other_kinds(void)
{
	struct inst *in = kit_open();
	struct pm_cred c;
	struct pm_user u;
	uint64_t kinds = 0;

	expect_rc("caps", in->m->auth->caps(in->i, &kinds), PM_OK);
	for (uint32_t kind = 0; kind < 12; kind++) {
		int32_t rc;

		if (kinds & (UINT64_C(1) << kind))
			continue;
		make_cred(&c, setup.user ? setup.user : "nobody-there", "x");
		c.kind = kind;
		rc = auth_ask(in, &c, &u);
		EXPECT(rc == PM_UNSUPPORTED || rc == PM_DENIED || rc == PM_NEXT || rc == PM_INVALID,
		       "credential kind %u gave %s", kind, host_code_name(rc));
		expect_untouched(&u, "a kind it does not serve");
	}
	kit_close(in);
}

static void
lookup_agrees(void)
{
	struct inst *in = kit_open();
	struct pm_user a, b;
	struct pm_cred c;

	make_cred(&c, setup.user, setup.password);
	expect_rc("verify", auth_ask(in, &c, &a), PM_OK);
	c.secret = (struct pm_str){NULL, 0};
	host_user_init(&b);
	if (!expect_lookup("lookup", in->m->auth->lookup(in->i, kit_pm(), &c, &b), PM_OK)) {
		kit_close(in);
		return;
	}
	EXPECT(a.name.n == b.name.n && (a.name.n == 0 || memcmp(a.name.p, b.name.p, a.name.n) == 0),
	       "verify and lookup give different names");
	EXPECT(a.key.n == b.key.n && (a.key.n == 0 || memcmp(a.key.p, b.key.p, a.key.n) == 0),
	       "verify and lookup give different mailbox keys");
	EXPECT(a.rights == b.rights && a.state == b.state && a.quota_octets == b.quota_octets,
	       "verify and lookup give different rights, state or quota");
	kit_close(in);
}

static void
auth_verifier(void)
{
	static const uint32_t kinds[] = {PM_SECRET_SCRAM_SHA1, PM_SECRET_SCRAM_SHA256,
					 PM_SECRET_PLAIN};
	struct inst *in = kit_open();
	struct pm_secret s;
	struct pm_cred c;
	struct pm_user u;
	uint64_t served = 0;

	expect_rc("caps", in->m->auth->caps(in->i, &served), PM_OK);
	for (int k = 0; k < 3; k++) {
		int32_t rc;

		make_cred(&c, setup.user, "");
		s = (struct pm_secret){.size = sizeof(s), .kinds = kinds[k]};
		host_user_init(&u);
		rc = in->m->auth->secret(in->i, kit_pm(), &c, &s, &u);
		EXPECT(rc == PM_OK || rc == PM_UNSUPPORTED, "secret of kind %u gave %s", kinds[k],
		       host_code_name(rc));
		EXPECT(rc != PM_OK || served & ((uint64_t)kinds[k] << 16),
		       "it has a secret of kind %u that caps does not name", kinds[k]);
		if (rc == PM_OK && kinds[k] != PM_SECRET_PLAIN)
			EXPECT(s.iter > 0 && s.salt.n > 0 && s.stored_key.n == (k ? 32 : 20) &&
				       s.server_key.n == s.stored_key.n,
			       "a SCRAM verifier needs iterations, salt and two keys of %d octets",
			       k ? 32 : 20);
		c.authcid = kit_str("nobody-has-this-name");
		s = (struct pm_secret){.size = sizeof(s), .kinds = kinds[k]};
		host_user_init(&u);
		rc = in->m->auth->secret(in->i, kit_pm(), &c, &s, &u);
		EXPECT(rc == PM_NOENT || rc == PM_UNSUPPORTED, "secret of an unknown user gave %s",
		       host_code_name(rc));
	}
	kit_close(in);
}

static void
auth_domains(void)
{
	struct inst *in = kit_open();
	const char *at = strrchr(setup.user, '@');
	char longest[PM_NAME_MAX];

	if (at)
		expect_rc("domain of the account",
			  in->m->auth->domain(in->i, kit_pm(), kit_str(at + 1)), PM_OK);
	memset(longest, 'd', sizeof(longest));
	EXPECT(in->m->auth->domain(in->i, kit_pm(), (struct pm_str){longest, sizeof(longest)}) !=
			       PM_OK ||
		       !at,
	       "a domain of 320 d is ours");
	EXPECT(in->m->auth->domain(in->i, kit_pm(), kit_str("../..")) != PM_OK || !at,
	       "'../..' is our domain");
	EXPECT(setup.wrapped ||
		       in->m->auth->domain(in->i, kit_pm(), kit_str("example.org")) !=
			       PM_UNSUPPORTED ||
		       !kit_check(PM_OPENF_DOMAINS),
	       "check() takes PM_OPENF_DOMAINS, and domain() cannot tell");
	kit_close(in);
}

static void
auth_events(void)
{
	struct inst *in = kit_open();
	struct pm_cred c;
	struct pm_user u;

	make_cred(&c, setup.user, setup.password);
	expect_rc("verify", auth_ask(in, &c, &u), PM_OK);
	expect_rc("event LOGIN", in->m->auth->event(in->i, kit_pm(), &u, PM_EVENT_LOGIN), PM_OK);
	expect_rc("event SESSION_END",
		  in->m->auth->event(in->i, kit_pm(), &u, PM_EVENT_SESSION_END), PM_OK);
	kit_close(in);
}

const struct check checks_auth[] = {
	{"auth.caps", "caps", "some kind of credential, the same ones always", NEED_AUTH,
	 auth_caps},
	{"auth.right", "verify; R4", "the right password; the user outlives the credentials",
	 NEED_AUTH | NEED_ACCOUNT, auth_right},
	{"auth.wrong", "verify; R5; R9",
	 "wrong, shorter, longer, with a NUL: no, the user untouched", NEED_AUTH | NEED_ACCOUNT,
	 auth_wrong},
	{"auth.empty", "verify", "an empty secret is PM_DENIED", NEED_AUTH, empty_secret},
	{"auth.unknown", "verify; lookup", "an unknown user: no, and the user untouched", NEED_AUTH,
	 auth_unknown},
	{"auth.names", "verify; R9; R11", "35 hostile names: no, and no failure invented",
	 NEED_AUTH, hostile_names},
	{"auth.secrets", "verify; R9", "1,024 bytes, NULs, 0xFF: no", NEED_AUTH, hostile_secrets},
	{"auth.kinds", "caps", "kinds of credentials it does not serve are refused", NEED_AUTH,
	 other_kinds},
	{"auth.lookup", "lookup", "the same user as verify, or check() says that it cannot",
	 NEED_AUTH | NEED_ACCOUNT, lookup_agrees},
	{"auth.verifier", "secret", "a whole verifier, or an answer that there is none",
	 NEED_AUTH | NEED_ACCOUNT | NEED_SECRET, auth_verifier},
	{"auth.domain", "domain", "the account's domain is ours, nonsense is not",
	 NEED_AUTH | NEED_ACCOUNT | NEED_DOMAIN, auth_domains},
	{"auth.event", "event", "a login and its end are noted",
	 NEED_AUTH | NEED_ACCOUNT | NEED_EVENT, auth_events},
	{0},
};
