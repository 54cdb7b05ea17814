"""The one address of the request bench."""

from django.urls import path

from kameng.bench._request_pages import ten

urlpatterns = [path("", ten)]
