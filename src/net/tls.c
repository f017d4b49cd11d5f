/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/ticket.h"

/* TLS 1.2: forward secrecy and authenticated encryption only. For clients without either a site
 * sets its own `tls_ciphers`. TLS 1.3 has nothing to choose. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
/* A ticket is bound to this; the same in all contexts, or a reload would end resumption. */
#define SESSION_CONTEXT "restante"

struct tls {
	SSL_CTX *ctx;
	int64_t not_after_ms;
};

void
tls_global_init(void)
{
	(void)OPENSSL_init_ssl(0, NULL); /* if it fails, so does tls_new, with the reason */
}

/* ---- files ----------------------------------------------------------------------------------- */

static const char *
tls_reason(void)
{
	unsigned long e = ERR_peek_last_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	return text ? text : "no reason given";
}

/* Opens a PEM file; NULL: the reason is in err. */
static FILE *
file_open(const char *what, const char *path, char *err, size_t errlen)
{
	FILE *f = fopen(path, "re");
	int e = errno;

	if (!f)
		snprintf(err, errlen, "%s %s: cannot be opened: %s (%d)%s", what, path,
			 strerrordesc_np(e), e,
			 e == EACCES ? "; the service user must be able to read it" : "");
	return f;
}

static EVP_PKEY *
key_read(const char *path, char *err, size_t errlen)
{
	FILE *f = file_open("TLS key", path, err, errlen);
	EVP_PKEY *key;

	if (!f)
		return NULL;
	/* "" as the passphrase: an encrypted key fails instead of asking the terminal */
	key = PEM_read_PrivateKey(f, NULL, NULL, (void *)"");
	if (!key)
		snprintf(err, errlen,
			 "TLS key %s: expected a private key in PEM form, without a "
			 "passphrase: %s",
			 path, tls_reason());
	(void)fclose(f); /* only read */
	return key;
}

static bool
certificate_use(SSL_CTX *ctx, const char *path, char *err, size_t errlen)
{
	FILE *f = file_open("TLS certificate", path, err, errlen);

	if (!f)
		return false;
	(void)fclose(f); /* opened only for its errno; OpenSSL reads it itself */
	if (SSL_CTX_use_certificate_chain_file(ctx, path) == 1)
		return true;
	snprintf(err, errlen,
		 "TLS certificate %s: expected certificates in PEM form, the server's own "
		 "first: %s",
		 path, tls_reason());
	return false;
}

static bool
key_use(SSL_CTX *ctx, const struct tls_options *o, char *err, size_t errlen)
{
	EVP_PKEY *key = key_read(o->key, err, errlen);
	bool ok = false;

	if (!key)
		return false;
	if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1)
		snprintf(err, errlen,
			 "TLS key %s: it does not belong to the first certificate in %s", o->key,
			 o->certificate);
	else if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
		snprintf(err, errlen, "TLS key %s: not accepted: %s", o->key, tls_reason());
	else
		ok = true;
	EVP_PKEY_free(key);
	return ok;
}

/* ---- a context ------------------------------------------------------------------------------- */

static bool
versions_set(SSL_CTX *ctx, const char *min, char *err, size_t errlen)
{
	int version = TLS1_2_VERSION;

	if (min && strcmp(min, "1.3") == 0) {
		version = TLS1_3_VERSION;
	} else if (min && strcmp(min, "1.2") != 0) {
		snprintf(err, errlen, "TLS version '%s': expected 1.2 or 1.3", min);
		return false;
	}
	if (SSL_CTX_set_min_proto_version(ctx, version) == 1)
		return true;
	snprintf(err, errlen, "TLS version %s: %s", min ? min : "1.2", tls_reason());
	return false;
}

static bool
ciphers_set(SSL_CTX *ctx, const char *ciphers, char *err, size_t errlen)
{
	if (SSL_CTX_set_cipher_list(ctx, ciphers ? ciphers : CIPHERS) == 1)
		return true;
	snprintf(err, errlen, "TLS ciphers '%s': expected an OpenSSL cipher list: %s",
		 ciphers ? ciphers : CIPHERS, tls_reason());
	return false;
}

static bool
resumption_set(SSL_CTX *ctx, char *err, size_t errlen)
{
	/* by tickets alone: a cache inside the context would end with it */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ctx, TICKET_LIFETIME_S);
	if (SSL_CTX_set_session_id_context(ctx, (const unsigned char *)SESSION_CONTEXT,
					   sizeof(SESSION_CONTEXT) - 1) == 1 &&
	    SSL_CTX_set_num_tickets(ctx, 1) == 1 && ticket_use(ctx))
		return true;
	snprintf(err, errlen, "TLS session tickets: %s", tls_reason());
	return false;
}

static void
manners_set(SSL_CTX *ctx)
{
	SSL_CTX_set_options(
		ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
			     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
			     /* QUIT ends a session, not close_notify: many clients leave it out */
			     SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	/* header and body of a record in one recv; conn.c reads until WANT_READ, so nothing is
	 * forgotten */
	SSL_CTX_set_read_ahead(ctx, 1);
}

/* not-after of the certificate in use; 0: unreadable. */
static int64_t
not_after(SSL_CTX *ctx)
{
	X509 *x = SSL_CTX_get0_certificate(ctx);
	struct tm tm;

	if (!x || ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1)
		return 0;
	return (int64_t)timegm(&tm) * 1000;
}

struct tls *
tls_new(const struct tls_options *o, char *err, size_t errlen)
{
	struct tls *t = calloc(1, sizeof(*t));

	ERR_clear_error();
	if (t)
		t->ctx = SSL_CTX_new(TLS_server_method());
	if (!t || !t->ctx) {
		snprintf(err, errlen, "TLS: no memory for a context");
		free(t);
		return NULL;
	}
	manners_set(t->ctx);
	if (!versions_set(t->ctx, o->min_version, err, errlen) ||
	    !ciphers_set(t->ctx, o->ciphers, err, errlen) || !resumption_set(t->ctx, err, errlen) ||
	    !certificate_use(t->ctx, o->certificate, err, errlen) ||
	    !key_use(t->ctx, o, err, errlen)) {
		tls_free(t);
		ERR_clear_error();
		return NULL;
	}
	t->not_after_ms = not_after(t->ctx);
	return t;
}

void
tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx); /* sessions hold references of their own */
	free(t);
}

struct ssl_ctx_st *
tls_ctx(const struct tls *t)
{
	return t->ctx;
}

int64_t
tls_not_after_ms(const struct tls *t)
{
	return t->not_after_ms;
}
