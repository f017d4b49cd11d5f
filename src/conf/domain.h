/* SPDX-License-Identifier: Apache-2.0 */
/* domain - domains as sections name them. Pure. */
#ifndef RST_CONF_DOMAIN_H
#define RST_CONF_DOMAIN_H

#include <stdbool.h>

/* A domain of a section, "example.org", or "*.example.org" for all below it (any case). */
bool conf_domain_fits(const char *pattern, const char *domain);

#endif
