/* SPDX-License-Identifier: Apache-2.0 */
/* origin - the settings that the state of a section goes by. */
#ifndef MBOX_ORIGIN_H
#define MBOX_ORIGIN_H

struct inst;

/* Reports to the log when path or format are not what they were the last time, and remembers
 * them. */
void origin_look(struct inst *i);

#endif
