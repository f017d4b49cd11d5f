/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define FILES 3

/* LDAP_OPT_X_TLS_CTX gives a reference away with each get, and this is the only thing that takes
 * one back. libldap exports it without a header; where it does not, a context stays in memory
 * for each change of the files. */
void ldap_pvt_tls_ctx_free(void *ctx) __attribute__((weak));

/* One file as it was; all zero: it is not there, or none is wanted. */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
};

struct tls {
	pthread_mutex_t mutex;
	void *ctx; /* under mutex, like the stamps; NULL: none yet */
	struct stamp stamps[FILES];
};

struct tls *
tls_new(void)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (t)
		pthread_mutex_init(&t->mutex, NULL);
	return t;
}

static void
tls_drop(struct tls *t)
{
	if (t->ctx && ldap_pvt_tls_ctx_free)
		ldap_pvt_tls_ctx_free(t->ctx);
	t->ctx = NULL;
}

void
tls_free(struct tls *t)
{
	if (!t)
		return;
	tls_drop(t);
	pthread_mutex_destroy(&t->mutex);
	free(t);
}

static void
stamps_of(const struct settings *s, struct stamp ret[FILES])
{
	const char *const paths[FILES] = {s->tls_ca, s->tls_cert, s->tls_key};

	memset(ret, 0, FILES * sizeof(ret[0])); /* paddings too: they are compared as bytes */
	for (int i = 0; i < FILES; i++) {
		struct stat st;

		if (!paths[i] || stat(paths[i], &st) != 0)
			continue;
		ret[i].dev = st.st_dev;
		ret[i].ino = st.st_ino;
		ret[i].size = st.st_size;
		ret[i].changed = st.st_ctim;
	}
}

/* Whatever ldap.conf and the environment say: no certificate that does not verify is good
 * enough. */
static bool
tls_demand(LDAP *ld)
{
	int demand = LDAP_OPT_X_TLS_DEMAND;

	return !ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
}

/* GnuTLS takes no notice of LDAP_OPT_X_TLS_PROTOCOL_MIN; OpenSSL does. */
static bool
set_versions(LDAP *ld, bool tls13)
{
	int least = tls13 ? LDAP_OPT_X_TLS_PROTOCOL_TLS1_3 : LDAP_OPT_X_TLS_PROTOCOL_TLS1_2;
	const char *priority = tls13 ? "NORMAL:-VERS-ALL:+VERS-TLS1.3"
				     : "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
	char *package = NULL;
	bool gnutls;

	if (ldap_get_option(NULL, LDAP_OPT_X_TLS_PACKAGE, &package) || !package)
		return false;
	gnutls = strcasecmp(package, "GnuTLS") == 0;
	ldap_memfree(package);
	return !ldap_set_option(ld, LDAP_OPT_X_TLS_PROTOCOL_MIN, &least) &&
	       !(gnutls && ldap_set_option(ld, LDAP_OPT_X_TLS_CIPHER_SUITE, priority));
}

/* A handle that is never connected makes it; NULL: one of the files cannot be used. */
static void *
tls_make(const struct settings *s)
{
	void *ctx = NULL;
	LDAP *ld = NULL;
	int client = 0;

	if (ldap_create(&ld) != LDAP_SUCCESS)
		return NULL;
	if (tls_demand(ld) && set_versions(ld, s->tls13) &&
	    !(s->tls_ca && ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, s->tls_ca)) &&
	    !(s->tls_cert && ldap_set_option(ld, LDAP_OPT_X_TLS_CERTFILE, s->tls_cert)) &&
	    !(s->tls_key && ldap_set_option(ld, LDAP_OPT_X_TLS_KEYFILE, s->tls_key)) &&
	    !ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &client))
		(void)ldap_get_option(ld, LDAP_OPT_X_TLS_CTX, &ctx);
	(void)ldap_unbind_ext(ld, NULL, NULL);
	return ctx;
}

bool
tls_apply(struct tls *t, const struct settings *s, LDAP *ld)
{
	struct stamp now[FILES];
	bool good;

	stamps_of(s, now);
	pthread_mutex_lock(&t->mutex);
	if (!t->ctx || memcmp(now, t->stamps, sizeof(now)) != 0) {
		tls_drop(t);
		memcpy(t->stamps, now, sizeof(now));
		t->ctx = tls_make(s);
	}
	good = t->ctx && tls_demand(ld) && !ldap_set_option(ld, LDAP_OPT_X_TLS_CTX, t->ctx);
	pthread_mutex_unlock(&t->mutex);
	return good;
}
