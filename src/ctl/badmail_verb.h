/* SPDX-License-Identifier: Apache-2.0 */
/*
 * badmail_verb - the verb badmail. The server answers page by page (src/badmail/badmail_admin.c);
 * here they are asked for one after another, added up and shown.
 */
#ifndef RST_CTL_BADMAIL_VERB_H
#define RST_CTL_BADMAIL_VERB_H

#include "ctl/options.h"

/* The exit code. */
int badmail_verb(const struct ctl *c);

#endif
