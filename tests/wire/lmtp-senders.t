# users: ann@example.org=restante
# delivery: max_errors=100
# set: default_domain=example.org
# senders and recipients with a tag are longer than 64 octets; an odd sender, or name in LHLO, is no reason to refuse mail
!port lmtp
S~ 220 .*
C: LHLO me
S- *
C: MAIL FROM:<SRS0=hHhH=TT=a-long-original-domain.test=newsletter-bounces-0001.2026@x.test>
S: 250 2.1.0 sender ok
C: RCPT TO:<ann+confirm-0123456789012345678901234567890123456789012345678901234567890123456789@example.org>
S~ 250 2\.1\.5 <ann\+confirm-[0-9]{70}@example.org> recipient ok
C: DATA\r\n\r\n.
S: 354 go on; end with CRLF.CRLF
S~ 250 2\.0\.0 <ann\+confirm-[0-9]{70}@example.org> delivered, id .*
M~ ann ^Return-Path: <SRS0=hHhH=TT=a-long-original-domain.test=newsletter-bounces-0001.2026@x.test>\n
C* 1 MAIL FROM:<"
C* 30 0 23456789
C: "@example.org>
S: 250 2.1.0 sender ok
C* 1 RCPT TO:<ann+
C* 30 0123456789
C: @example.org>
S~ 250 2\.1\.5 <ann\+[0-9]{300}@example.org> recipient ok
C* 1 RCPT TO:<
C* 30 0123456789
C: @example.org>
S~ 550 5\.1\.1 <[0-9]{300}@example.org> there is no such mailbox here
C: DATA\r\n\r\n.
S: 354 go on; end with CRLF.CRLF
S~ 250 2\.0\.0 <ann\+[0-9]{300}@example.org> delivered, id .*
M~ ann ^Return-Path: <"(0 23456789){30}"@example.org>\nDelivered-To: ann\+[0-9]{300}@example.org\nReceived: 
C: MAIL FROM:<bounce@x..test>
S: 250 2.1.0 sender ok
C: RSET
S: 250 2.0.0 ok
C: MAIL FROM:<bounce@-x.test>
S: 250 2.1.0 sender ok
C: RSET
S: 250 2.0.0 ok
C: MAIL FROM:<""@x.test>
S: 250 2.1.0 sender ok
C: RCPT TO:<ann>
S: 250 2.1.5 <ann> recipient ok
C: DATA\r\n\r\n.
S: 354 go on; end with CRLF.CRLF
S~ 250 2\.0\.0 <ann> delivered, id .*
M~ ann ^Return-Path: <""@x.test>\n
# a name that would make Received unreadable stands in it with question marks
C: LHLO a(b;"c\\d,e
S- *
C: MAIL FROM:<a@x.test>\r\nRCPT TO:<ann>\r\nDATA\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S~ 250 2\.0\.0 <ann> delivered, id .*
M~ ann \nReceived: from a\?b\?\?c\?d\?e \(\[127\.0\.0\.1\]\)\n
C: LHLO https://app.example.net
S- *
C: MAIL FROM:<a@x.test>\r\nRCPT TO:<ann>\r\nDATA\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S~ 250 2\.0\.0 <ann> delivered, id .*
M~ ann \nReceived: from https\?//app\.example\.net \(\[127\.0\.0\.1\]\)\n
C: LHLO [192.0.2.1]
S- *
C: MAIL FROM:<a@x.test>\r\nRCPT TO:<ann>\r\nDATA\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S~ 250 2\.0\.0 <ann> delivered, id .*
M~ ann \nReceived: from \[192\.0\.2\.1\] \(\[127\.0\.0\.1\]\)\n
C: LHLO [IPv6:2001:db8::1]
S- *
C: MAIL FROM:<a@x.test>\r\nRCPT TO:<ann>\r\nDATA\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S~ 250 2\.0\.0 <ann> delivered, id .*
M~ ann \nReceived: from \[IPv6:2001:db8::1\] \(\[127\.0\.0\.1\]\)\n
C: LHLO [x(]
S- *
C: MAIL FROM:<a@x.test>\r\nRCPT TO:<ann>\r\nDATA\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S~ 250 2\.0\.0 <ann> delivered, id .*
M~ ann \nReceived: from \?x\?\? \(\[127\.0\.0\.1\]\)\n
C: LHLO foo_bar-1.x
S- *
C: MAIL FROM:<a@x.test>\r\nRCPT TO:<ann>\r\nDATA\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S~ 250 2\.0\.0 <ann> delivered, id .*
M~ ann \nReceived: from foo_bar-1\.x \(\[127\.0\.0\.1\]\)\n
# a Return-Path of the message stays, below ours
C: MAIL FROM:<a@x.test>\r\nRCPT TO:<ann>\r\nDATA\r\nReturn-Path: <old@x.test>\r\nSubject: x\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
S~ 250 2\.0\.0 <ann> delivered, id .*
M~ ann ^Return-Path: <a@x.test>\nDelivered-To: .*\nReceived: .*\nReturn-Path: <old@x.test>\nSubject: x\n
C: QUIT
S~ 221 .*
!end
