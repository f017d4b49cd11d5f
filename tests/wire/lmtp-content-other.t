# users: ann=restante
# delivery: bare_lf=accept bare_cr=accept nul=accept long_lines=refuse eight_bit=refuse check_delivered_to=no max_errors=100
# the same with every option the other way
!port lmtp
S~ 220 .*
C: LHLO me\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S- *
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Subject: x\n\na\rb\0c\n.\n..\n.\r\nd\r\r\n.
S~ 250 2\.0\.0 .*
M~ ann \nSubject: x\n\na\rb\x00c\n\.\n\.\.\n\.\nd\r\r\n$
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Subject: x\r\n
C* 998 y
C: \r\n.
S~ 250 2\.0\.0 .*
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Subject: x\r\n
C* 999 y
C: \r\n.
S: 550 5.6.0 <ann> the message has a line of more than 998 octets (RFC 5322 section 2.1.1)
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Subject: x\r\n\r\n\xe4\r\n.
S: 550 5.6.1 <ann> the message is 8-bit and was not announced so (BODY=8BITMIME)
C: MAIL FROM:<a@x.org> BODY=8BITMIME\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Received: x\r\nDelivered-To: ann\r\n\r\n\xe4\r\n.
S~ 250 2\.0\.0 .*
C: QUIT
S~ 221 .*
!end
M: ann 3
