/* SPDX-License-Identifier: Apache-2.0 */
/* mech - the SASL mechanisms that are ours: PLAIN (RFC 4616), LOGIN
 * (draft-murchison-sasl-login). */
#ifndef RST_POP3_MECH_H
#define RST_POP3_MECH_H

#include "pop3/sasl.h"

extern const struct sasl_mech mech_table[]; /* ends with name = NULL */

#endif
