"""The test channel (`kameng testpay`): signed JSON, callbacks with an HMAC over time and body."""
