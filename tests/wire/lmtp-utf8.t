# users: ann@new.example=restante ben@old.example=restante änn@new.example=restante änn@old.example=restante
# ascii: old.example
# delivery: max_errors=100
# SMTPUTF8 is refused for the recipients whose store cannot keep it, and for no others
!port lmtp
S~ 220 .*
C: LHLO me
S- SMTPUTF8
C: MAIL FROM:<gr\xc3\xbc\xc3\x9fe@x.org> SMTPUTF8
S: 250 2.1.0 sender ok
C: RCPT TO:<ann@new.example>
S: 250 2.1.5 <ann@new.example> recipient ok
C: RCPT TO:<ben@old.example>
S: 550 5.6.7 <ben@old.example> this mailbox's store takes no internationalized mail (SMTPUTF8)
C: DATA\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\n\r\n.
S: 354 go on; end with CRLF.CRLF
S~ 250 2\.0\.0 <ann@new\.example> delivered, id .*
M: ann 1
M~ ann ^Return-Path: <grüße@x.org>\nDelivered-To: ann@new.example\nReceived: .*Subject: Grüße\n
M: ben 0
C: MAIL FROM:<a@x.org> BODY=8BITMIME\r\nRCPT TO:<ben@old.example>\r\nRCPT TO:<ann@new.example>\r\nDATA\r\nSubject: x\r\n\r\n.
S: 250 2.1.0 sender ok
S: 250 2.1.5 <ben@old.example> recipient ok
S: 250 2.1.5 <ann@new.example> recipient ok
S: 354 go on; end with CRLF.CRLF
S~ 250 2\.0\.0 <ben@old\.example> delivered, id .*
S~ 250 2\.0\.0 <ann@new\.example> delivered, id .*
M: ben 1
M: ann 2
# a server in front that took such addresses without SMTPUTF8 passes them on without it: by LMTP they count as if with it
C: MAIL FROM:<gr\xc3\xbc\xc3\x9fe@x.org>
S: 250 2.1.0 sender ok
C: RCPT TO:<ann@new.example>
S: 250 2.1.5 <ann@new.example> recipient ok
C: RCPT TO:<ben@old.example>
S: 550 5.6.7 <ben@old.example> this mailbox's store takes no internationalized mail (SMTPUTF8)
C: DATA\r\n\r\n.
S: 354 go on; end with CRLF.CRLF
S~ 250 2\.0\.0 <ann@new\.example> delivered, id .*
M~ ann ^Return-Path: <grüße@x.org>\nDelivered-To: ann@new.example\nReceived: from me .* with UTF8LMTP id
C: MAIL FROM:<a@x.org>
S: 250 2.1.0 sender ok
C: RCPT TO:<\xc3\xa4nn@old.example>
S: 550 5.6.7 <\xc3\xa4nn@old.example> this mailbox's store takes no internationalized mail (SMTPUTF8)
C: RCPT TO:<ben@old.example>
S: 250 2.1.5 <ben@old.example> recipient ok
C: RCPT TO:<\xc3\xa4nn@new.example>
S: 250 2.1.5 <\xc3\xa4nn@new.example> recipient ok
C: DATA\r\n\r\n.
S: 354 go on; end with CRLF.CRLF
S~ 250 2\.0\.0 <ben@old\.example> delivered, id .*
S~ 250 2\.0\.0 <.*nn@new\.example> delivered, id .*
M: änn 1
C: QUIT
S~ 221 .*
!end
