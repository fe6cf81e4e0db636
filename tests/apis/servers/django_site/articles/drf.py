"""Django REST framework: one view for each of its three ways to page."""

from rest_framework.authentication import BasicAuthentication, TokenAuthentication
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination, LimitOffsetPagination, PageNumberPagination
from rest_framework.permissions import IsAuthenticated
from rest_framework.serializers import ModelSerializer

from articles.models import TIME_FILTERS, Article


class ArticleSerializer(ModelSerializer):
    """All fields."""

    class Meta:
        model = Article
        fields = "__all__"


class LimitOffset(ListAPIView):
    """Behind `Authorization: Token …`."""

    class pagination_class(LimitOffsetPagination):
        default_limit = 20
        max_limit = 50

    queryset = Article.objects.all()
    serializer_class = ArticleSerializer
    filterset_fields = TIME_FILTERS
    authentication_classes = [TokenAuthentication]
    permission_classes = [IsAuthenticated]


class PageNumber(ListAPIView):
    """Behind a login and a password."""

    class pagination_class(PageNumberPagination):
        page_size = 20
        page_size_query_param = "page_size"
        max_page_size = 50

    queryset = Article.objects.all()
    serializer_class = ArticleSerializer
    filterset_fields = TIME_FILTERS
    authentication_classes = [BasicAuthentication]
    permission_classes = [IsAuthenticated]


class Cursor(ListAPIView):
    """For everybody; newest first, so that records of one moment can fall onto two pages."""

    class pagination_class(CursorPagination):
        page_size = 20
        page_size_query_param = "page_size"
        max_page_size = 50
        ordering = ("-modified", "-id")

    queryset = Article.objects.all()
    serializer_class = ArticleSerializer
    filterset_fields = TIME_FILTERS
    authentication_classes = []
