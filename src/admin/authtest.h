/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authtest - the verb auth-test: walks the auth chain as a login over TLS would, and reports for
 * each section whether it is asked, why not, and what it answers. A password is checked if one is
 * given; without one the sections are asked whether they have the user. No penalty is counted here
 * - nobody who may use the control socket needs to guess - but a directory counts a wrong password
 * as it counts any.
 *
 * The thread of the verb.
 */
#ifndef RST_ADMIN_AUTHTEST_H
#define RST_ADMIN_AUTHTEST_H

#include <jansson.h>

/* A new reference. */
json_t *authtest_answer(const json_t *request);

#endif
