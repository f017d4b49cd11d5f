/* SPDX-License-Identifier: Apache-2.0 */
/* client - one message over LMTP, from a descriptor to a connected socket. */
#ifndef RST_DELIVERY_CLIENT_H
#define RST_DELIVERY_CLIENT_H

/*
 * Hands over what is read from `from` until its end, lines ended as they are there; a first line "From " is left out.
 * sender and address without angle brackets; they are quoted where they must be. Returns a code of sysexits.h, and says on
 * standard error what the server said unless it is 0. Waits at most five minutes for each reply.
 */
int client_deliver(int fd, const char *sender, const char *address, int from);

#endif
