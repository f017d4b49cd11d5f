/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls - what the connections of an instance have in common: one context made of tls_ca, tls_cert
 * and tls_key, and made anew when one of these files has changed. Reading a bundle of authorities
 * for every connection costs milliseconds, and libldap with GnuTLS never gives back all memory of a
 * context.
 */
#ifndef LDAP_TLS_H
#define LDAP_TLS_H

#include <ldap.h>
#include <stdbool.h>

#include "settings.h"

struct tls *tls_new(void); /* NULL: no memory */
void tls_free(struct tls *t);

/* Makes ld use it; any thread. false: one of the files cannot be used. */
bool tls_apply(struct tls *t, const struct settings *s, LDAP *ld);

#endif
