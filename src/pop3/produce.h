/* SPDX-License-Identifier: Apache-2.0 */
/* produce - LIST and UIDL, piece by piece, and the sizes that STAT, LIST and RETR need. */
#ifndef RST_POP3_PRODUCE_H
#define RST_POP3_PRODUCE_H

#include "pop3/pop3.h"

enum turn produce_sizes(struct pop3 *s); /* followed by cmd_trans_sized */
enum turn produce_list(struct pop3 *s);
enum turn produce_uidl(struct pop3 *s);

#endif
