/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authtest - the verb auth-test: walks the auth chain as a login over TLS would, and tells of each
 * section whether it is asked, why not, and what it answers. With a password it is checked; without
 * one the sections are asked whether they have the user. No penalty is counted here - whoever may
 * use the control socket is no guesser - but a directory counts a wrong password as it counts any.
 *
 * The caller's thread.
 */
#ifndef RST_ADMIN_AUTHTEST_H
#define RST_ADMIN_AUTHTEST_H

#include <jansson.h>

/* A new reference. */
json_t *authtest_answer(const json_t *request);

#endif
