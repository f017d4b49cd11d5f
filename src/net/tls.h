/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls - server contexts of OpenSSL made from configuration. TLS 1.2 and 1.3; resumption by tickets
 * whose keys live outside the context, so that neither workers nor a reload end it.
 */
#ifndef RST_NET_TLS_H
#define RST_NET_TLS_H

#include <stddef.h>
#include <stdint.h>

struct tls;

struct tls_options {
	const char *certificate; /* PEM chain */
	const char *key;         /* PEM */
	const char *min_version; /* "1.2" or "1.3"; NULL = 1.2 */
	const char *ciphers;     /* TLS 1.2 list; NULL = built in */
};

/* Main, before tls_new. May be called again. */
void tls_global_init(void);
/* A context; NULL: the reason is in err (which file, what was expected). */
struct tls *tls_new(const struct tls_options *o, char *err, size_t errlen);
void tls_free(struct tls *t); /* NULL is fine; sessions that have begun TLS keep what they need */
/* For conn_tls; borrowed. */
struct ssl_ctx_st *tls_ctx(const struct tls *t);
/* not-after of the certificate, UTC ms; 0: none. */
int64_t tls_not_after_ms(const struct tls *t);

#endif
