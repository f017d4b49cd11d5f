# users: ann=restante
# delivery: max_errors=1000 max_size=2k
# every refusal: one line, one answer
!port lmtp
S~ 220 .*
C: XYZZY
S: 500 5.5.2 unknown command
C: 
S: 500 5.5.2 unknown command
C: EHLO me
S: 500 5.5.1 this is LMTP: LHLO, please
C: HELO me
S: 500 5.5.1 this is LMTP: LHLO, please
C: LHLO
S: 501 5.5.4 your name is missing, or has characters no host name has
C: LHLO two words
S: 501 5.5.4 your name is missing, or has characters no host name has
C: MAIL FROM:<a@example.org>
S: 503 5.5.1 LHLO first
C: LHLO me
S- ENHANCEDSTATUSCODES
C: RCPT TO:<ann>
S: 503 5.5.1 MAIL first
C: DATA
S: 503 5.5.1 MAIL first
C: EXPN ann
S: 502 5.5.1 this command is not offered here
C: AUTH PLAIN
S: 502 5.5.1 this command is not offered here
C: VRFY
S: 501 5.5.4 VRFY needs a name
C: RSET now
S: 501 5.5.4 RSET takes no argument
C: QUIT now
S: 501 5.5.4 QUIT takes no argument
C: STARTTLS now
S: 501 5.5.4 STARTTLS takes no argument
C: XCLIENT ADDR=192.0.2.1
S: 550 5.7.0 XCLIENT is not for you
C: MAIL a@example.org
S: 501 5.5.4 expected MAIL FROM:<address>
C: MAIL FROM:a@example.org
S: 501 5.1.7 the address must stand in angle brackets: <user@example.org>
C: MAIL FROM:<a@example.org
S: 501 5.1.7 a character that cannot stand in an address, or '>' is missing
C: MAIL FROM:<a b@example.org>
S: 501 5.1.7 a character that cannot stand in an address, or '>' is missing
C: MAIL FROM:<"a@example.org>
S: 501 5.1.7 the quotation mark is not closed
C: MAIL FROM:<a@>
S: 501 5.1.7 the domain is empty, or begins with a character no domain begins with
C: MAIL FROM:<@example.org>
S: 501 5.1.7 the source route has no end
C* 1 MAIL FROM:<
C* 31 0123456789
C: @example.org>
S: 501 5.1.7 the address is too long
C: MAIL FROM:<a@example.org>X
S: 501 5.1.7 something stands after the address
C: MAIL FROM:<a@example.org> SIZE=many
S: 501 5.5.4 SIZE needs a number
C: MAIL FROM:<a@example.org> BODY=BINARYMIME
S: 501 5.5.4 BODY is 7BIT or 8BITMIME
C: MAIL FROM:<a@example.org> RET=HDRS
S: 555 5.5.4 this parameter is not offered here
C: MAIL FROM:<a@example.org> SIZE=2049
S: 552 5.3.4 the message is larger than this server takes
C: MAIL FROM:<\xc3@example.org>
S: 501 5.1.7 it is not UTF-8
C: MAIL FROM:<\xc3@example.org> SMTPUTF8
S: 501 5.1.7 it is not UTF-8
C: NO\0OP
S: 500 5.5.2 a NUL is not possible in a command
C: NOOP \x07
S: 500 5.5.2 a control character is not possible in a command
C* 1 NOOP 
C* 300 0123456789
C: 
S: 500 5.5.2 line too long
C* 3000 0123456789
C: 
S: 500 5.5.2 line too long
C: MAIL FROM:<a@example.org>
S: 250 2.1.0 sender ok
C: MAIL FROM:<a@example.org>
S: 503 5.5.1 there is a sender already; RSET begins anew
C: STARTTLS
S: 503 5.5.1 not in the midst of a message
C: DATA
S: 503 5.5.1 no valid recipients
C: RCPT ann
S: 501 5.5.4 expected RCPT TO:<address>
C: RCPT TO:ann
S: 501 5.1.3 the address must stand in angle brackets: <user@example.org>
C: RCPT TO:<ann
S: 501 5.1.3 a character that cannot stand in an address, or '>' is missing
C: RCPT TO:<"ann@example.org>
S: 501 5.1.3 the quotation mark is not closed
C: RCPT TO:<ann@-example.org>
S: 501 5.1.3 the domain is empty, or begins with a character no domain begins with
C: RCPT TO:<ann@example..org>
S: 501 5.1.3 the domain has an empty label
C: RCPT TO:<"">
S: 501 5.1.3 the local part is empty
C: RCPT TO:<ann@example.org>,<ben@example.org>
S: 501 5.1.3 something stands after the address
C: RCPT TO:<>
S: 501 5.1.3 a recipient is needed
C: RCPT TO:<ann> NOTIFY=NEVER
S: 555 5.5.4 this parameter is not offered here
C: RCPT TO:<\xc3\xa4nn>
S: 550 5.1.1 <\xc3\xa4nn> there is no such mailbox here
C: RCPT TO:<ann@[192.0.2.1]>
S: 550 5.1.2 <ann@[192.0.2.1]> mail for address literals is not taken here
C: RCPT TO:<ann>
S: 250 2.1.5 <ann> recipient ok
C: DATA now
S: 501 5.5.4 DATA takes no argument
C: DATA
S: 354 go on; end with CRLF.CRLF
C* 300 0123456789\r\n
C: .
S: 552 5.3.4 <ann> the message is larger than this server takes
C: GET / HTTP/1.1
S: 421 4.7.0 this is a mail server; closing
!end
M: ann 0
